"""Teams, people, who belongs where, and what a person's name in CloudTrail has been."""

import uuid
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.db import models
from django.db.models.functions import Lower

if TYPE_CHECKING:
    from sessions.models.tokens import Token


class User(AbstractUser):
    """A person. `aws_name` is their handle in CloudTrail: legal as a RoleSessionName, unique, changed by admins alone."""

    # The ledger names people by their user name: ASCII, so that no two look alike.
    username_validator = ASCIIUsernameValidator()  # type: ignore[assignment]  # the stubs know the other alone

    username = models.CharField(
        "user name",
        max_length=150,
        unique=True,
        validators=[username_validator],
        help_text="Letters, digits and @ . + - _",
        error_messages={"unique": "Somebody has that user name."},
    )
    aws_name = models.CharField("name in CloudTrail", max_length=32)

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(Lower("aws_name"), name="aws_name_is_unique"),
            models.UniqueConstraint(Lower("username"), name="username_is_unique_in_any_case"),
        ]


class AwsName(models.Model):
    """A name in CloudTrail that somebody has or has had: kept for ever, so that it never means another person.

    There is no foreign key to the person, whom it outlives.
    """

    key = models.CharField("the name in lower case", primary_key=True, max_length=32)
    name = models.CharField(max_length=32)
    person_id = models.BigIntegerField(null=True, db_index=True)
    username = models.CharField(max_length=150)
    held_from = models.DateTimeField()
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} is {self.username}"


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

    class Meta:
        constraints = [models.UniqueConstraint(Lower("slug"), name="team_slug_is_unique_in_any_case")]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    MEMBER = "member", "member"
    ADMIN = "admin", "admin"
    AUDITOR = "auditor", "auditor"


class Membership(models.Model):
    """A person in a team, and as what. `disabled_at`: shut out of this team for now, by an admin of it.

    `from_sso`: made by the identity provider's groups, which then also change and end it.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    disabled_at = models.DateTimeField(null=True)
    from_sso = models.BooleanField("governed by the identity provider", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    # The token by which the member acts just now, if it is one: it narrows what they may do. Never stored.
    token: "Token | None" = None

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team")]

    def __str__(self) -> str:
        return f"{self.user.get_username()} ({self.role}) in {self.team}"


class TeamGroup(models.Model):
    """Some of a team's people under one name, to open sessions to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="groups")
    name = models.CharField(max_length=64)
    members = models.ManyToManyField(Membership, related_name="groups")

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), "team", name="group_name_is_unique_in_team")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """A way into a team for whoever has its link: once, until it expires; only the hash of its code is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    note = models.CharField("who it is for", max_length=100, blank=True)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    # Set once, by being accepted or withdrawn.
    ended_at = models.DateTimeField(null=True)
    accepted_by = models.CharField(max_length=150, blank=True)

    def __str__(self) -> str:
        return f"invitation into {self.team_id} as {self.role}"
