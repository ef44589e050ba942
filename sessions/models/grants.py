"""Store whom a closed session is open to, and what admins have closed."""

from django.db import models
from django.db.models import Q

from sessions.models.memberships import Membership, TeamGroup
from sessions.models.people import Team
from sessions.models.sessions import AwsSession


class GrantedRight(models.TextChoices):
    """Name what a session can be open for."""

    START = "start", "start it and take its credentials"
    ASSUME = "assume", "assume further roles from it"


class SessionGrant(models.Model):
    """Store one person or group who has that right on a session.

    The session is not open to everyone for it.
    """

    session = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="grants")
    right = models.CharField(max_length=10, choices=GrantedRight.choices)
    member = models.ForeignKey(
        Membership, on_delete=models.CASCADE, null=True, related_name="grants"
    )
    group = models.ForeignKey(TeamGroup, on_delete=models.CASCADE, null=True, related_name="grants")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(member=None, group__isnull=False) | Q(member__isnull=False, group=None),
                name="a_grant_is_for_a_person_or_a_group",
            ),
            models.UniqueConstraint(
                fields=["session", "right", "member"], name="one_grant_per_member"
            ),
            models.UniqueConstraint(
                fields=["session", "right", "group"], name="one_grant_per_group"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.right} {self.session_id} for {self.member_id or self.group_id}"


class ClosedByAdmin(models.Model):
    """Store whom an admin left a right at a session they closed: only an admin lets in more.

    `role` is the role (`role_key`) that the session had then. It stays closed where the session is
    deleted, or has another role.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=128)
    right = models.CharField(max_length=10, choices=GrantedRight.choices)
    session = models.ForeignKey(AwsSession, on_delete=models.SET_NULL, null=True, related_name="+")
    members = models.ManyToManyField(Membership, related_name="+")
    groups = models.ManyToManyField(TeamGroup, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session", "role", "right"], name="one_closing_per_right"
            )
        ]
        indexes = [models.Index(fields=["team", "role"], name="closed_by_role")]

    def __str__(self) -> str:
        return f"{self.right} {self.role} closed at {self.session_id}"
