"""Store who belongs to which team, with role and groups, invitations and removals."""

import uuid

from django.db import models
from django.db.models.functions import Lower

from sessions.models.people import Team, User


class Role(models.TextChoices):
    MEMBER = "member", "member"
    ADMIN = "admin", "admin"
    AUDITOR = "auditor", "auditor"


class Membership(models.Model):
    """Store a person's role in a team.

    `disabled_at`: suspended by an admin of the team.

    `from_sso`: made by the identity provider's groups, which then also change and end it. It holds
    only as long as their last reading, at `groups_read_at`, is recent.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    disabled_at = models.DateTimeField(null=True)
    from_sso = models.BooleanField("governed by the identity provider", default=False)
    # Goes up with every change that people see; see `locks.versions`.
    version = models.PositiveIntegerField(default=1, db_default=1)
    groups_read_at = models.DateTimeField("when the groups were last read", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team")
        ]

    def __str__(self) -> str:
        return f"{self.user.get_username()} ({self.role}) in {self.team}"


class Removal(models.Model):
    """Store that an admin removed a person: groups bring them back only after an admin admits them.

    One row for the person, with neither provider nor uid, and one for each identity of theirs at a
    provider, since an identity can be taken to another account.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="removals")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="removals")
    provider = models.CharField(max_length=200, blank=True)
    uid = models.CharField(max_length=191, blank=True)
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "user", "provider", "uid"], name="one_removal_of_an_identity"
            )
        ]
        indexes = [models.Index(fields=["team", "provider", "uid"], name="removal_of_identity")]

    def __str__(self) -> str:
        return f"{self.user} removed from {self.team} by {self.by}"


class TeamGroup(models.Model):
    """Name some of a team's people, to open sessions to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="groups")
    name = models.CharField(max_length=64)
    # Goes up with every change that people see; see `locks.versions`.
    version = models.PositiveIntegerField(default=1, db_default=1)
    members = models.ManyToManyField(Membership, related_name="groups")

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("name"), "team", name="group_name_is_unique_in_team")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """Store a link into a team that works once until it expires; only its code's hash is kept."""

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
