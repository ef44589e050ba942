"""Which people a session is open to, where that is not everyone in its team."""

from django.db import models
from django.db.models import Q

from sessions.models.people import Membership, TeamGroup
from sessions.models.sessions import AwsSession


class Right(models.TextChoices):
    """What a session can be open for."""

    START = "start", "start it and take its credentials"
    ASSUME = "assume", "assume further roles from it"


class SessionGrant(models.Model):
    """One person or one group who has that right on a session that is not open to everyone for it."""

    session = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="grants")
    right = models.CharField(max_length=10, choices=Right.choices)
    member = models.ForeignKey(Membership, on_delete=models.CASCADE, null=True, related_name="grants")
    group = models.ForeignKey(TeamGroup, on_delete=models.CASCADE, null=True, related_name="grants")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(member=None, group__isnull=False) | Q(member__isnull=False, group=None),
                name="a_grant_is_for_a_person_or_a_group",
            ),
            models.UniqueConstraint(fields=["session", "right", "member"], name="one_grant_per_member"),
            models.UniqueConstraint(fields=["session", "right", "group"], name="one_grant_per_group"),
        ]

    def __str__(self) -> str:
        return f"{self.right} {self.session_id} for {self.member_id or self.group_id}"
