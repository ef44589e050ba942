"""Store a team's robots: principals that are nobody, and whom they trust to act as them."""

import uuid
from typing import Any

from django.db import models
from django.db.models.functions import Lower

from sessions.models.labels import Label
from sessions.models.people import Team, User
from sessions.models.sessions import AwsSession

LONGEST_LIFE_MINUTES = 60


class Robot(models.Model):
    """Store a principal of a team that is no person: a pipeline, a server, a cluster.

    Its `user` has a membership like a member's, so that activations, names in CloudTrail and lines
    of the ledger need to know nothing of robots. That user never logs in, has no address, and is
    listed with the robots alone. `owner` is the person who answers for it. It stays when it is
    removed, at `ended_at`, so that its name never means another.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="robots")
    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="robot")
    name = models.CharField(max_length=32)
    owner = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    # Bound: it reaches these sessions, and those with these labels, alone. Else whatever is open to
    # every member. Its tokens are bound as it is.
    is_bound = models.BooleanField(default=True)
    sessions = models.ManyToManyField(AwsSession, related_name="+")
    labels = models.ManyToManyField(Label, related_name="+")
    # Goes up with every change that people see; see `locks.versions`.
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("team", Lower("name"), name="robot_name_is_unique_in_team")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TrustRule(models.Model):
    """Store whose signed tokens (JWT) a robot's are given for.

    Those of `issuer` for `audience` whose claims all match: `claims` is {claim: text, in which *
    stands for any characters}. They get `scopes` for so many `minutes`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    robot = models.ForeignKey(Robot, on_delete=models.CASCADE, related_name="rules")
    name = models.CharField(max_length=64)
    issuer = models.CharField(max_length=500)
    audience = models.CharField(max_length=255)
    claims = models.JSONField(default=dict)
    scopes = models.JSONField(default=list)
    minutes = models.PositiveSmallIntegerField(default=LONGEST_LIFE_MINUTES)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


def without_robots(user: str = "user") -> dict[str, Any]:
    """Return the condition that keeps people alone; `user` is the way to the person."""
    return {f"{user}__robot": None}
