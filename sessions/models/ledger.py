"""Store the ledger's events.

Ids and names are text, without foreign keys, so that they outlive their subjects.
"""

from datetime import datetime

from django.db import models


class Event(models.Model):
    """Store one line: append-only, chained per team by `prev` → `hash`. See `sessions.ledger`.

    `kind` is the tag of a class in `sessions.ledger.events`, which reads `data` back.
    """

    team_id = models.CharField(max_length=36)
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=150)
    session_id = models.CharField(max_length=36, blank=True)
    session_alias = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)
    prev = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team_id", "seq"], name="one_line_per_number")
        ]
        indexes = [
            models.Index(fields=["session_id", "-seq"], name="event_of_session"),
            # What somebody has taken, and who has left: few lines among very many.
            models.Index(
                fields=["team_id", "actor", "-seq"],
                name="event_revealed",
                condition=models.Q(kind="credential.revealed"),
            ),
            models.Index(
                fields=["team_id", "-seq"],
                name="event_removed",
                condition=models.Q(kind="member.removed"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team_id} #{self.seq} {self.kind}"


class LedgerHead(models.Model):
    """The end of one team's ledger; locked while lines are appended."""

    team_id = models.CharField(primary_key=True, max_length=36)
    seq = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)

    # The time, where whoever holds the lock has asked for it since. Never stored.
    read_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.team_id} ends at {self.seq}"
