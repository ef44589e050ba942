"""Teams, people, and who belongs where."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower


class User(AbstractUser):
    """A person. `aws_name` is their handle in CloudTrail: legal as a RoleSessionName, unique, changed by admins alone."""

    aws_name = models.CharField("name in CloudTrail", max_length=32)

    class Meta(AbstractUser.Meta):
        constraints = [models.UniqueConstraint(Lower("aws_name"), name="aws_name_is_unique")]


class Team(models.Model):
    """A tenant: nothing of one team is seen by, or assumed from, another."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    default_region = models.CharField(max_length=32, default="us-east-1")
    max_depth = models.PositiveSmallIntegerField("longest chain, in AssumeRole calls", default=5)
    activation_hours = models.PositiveSmallIntegerField("hours a started session is kept fresh", default=12)
    ambient_enabled = models.BooleanField("may use the workers' own identity", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    MEMBER = "member", "member"
    ADMIN = "admin", "admin"
    AUDITOR = "auditor", "auditor"


class Membership(models.Model):
    """A person in a team, and as what."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team")]

    def __str__(self) -> str:
        return f"{self.user.get_username()} ({self.role}) in {self.team}"
