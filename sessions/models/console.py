"""Store that a person signs in to the console, until a worker's token for it is used or over."""

import uuid
from datetime import timedelta

from django.db import models

from sessions.models.leased import Leased
from sessions.models.people import Team, User
from sessions.models.problems import ProblemField
from sessions.models.sessions import AwsSession
from sessions.sealing import SealContext


class ConsoleSignIn(Leased):
    """Hold one sign-in of one person: pending, then a sealed token or a problem.

    The token is read once, by that person, and the row then goes. Its event was written before.
    `access_key_id` and `credential` are those that the event names: no other is used for it.
    """

    # So long somebody waits at most; AWS itself takes a token for 15 minutes.
    LIFE = timedelta(minutes=15)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    session = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    # Where the credentials were narrowed for this sign-in alone.
    delivery = models.UUIDField(null=True)
    credential = models.CharField(max_length=64)
    access_key_id = models.CharField(max_length=128)
    region = models.CharField(max_length=32)
    destination = models.CharField(max_length=2200)
    sealed = models.BinaryField(null=True)
    problem = ProblemField(null=True)
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["ends_at"],
                name="console_pending",
                condition=models.Q(sealed=None, problem__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"console sign-in {self.id}"

    @property
    def is_pending(self) -> bool:
        return self.sealed is None and self.problem is None

    @property
    def seal_context(self) -> SealContext:
        """Return where the token is sealed for: this row, and so this person."""
        return SealContext(
            "chains_consolesignin", "sealed", str(self.pk), str(self.team_id), self.user_id
        )
