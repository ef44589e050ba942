"""Store how far each ledger has been streamed to each place outside."""

from django.db import models

from sessions.models.leased import Leased


class SiemCursor(Leased):
    """Store a place's position in one team's ledger: it has taken what it is to get up to `seq`.

    Whoever holds the row sends. `again_at`: not before then, after `failures` tries in a row;
    `problem` says what was the last one's. `is_on`: the operator's settings name the place.
    """

    outlet = models.CharField(max_length=16)
    team_id = models.CharField(max_length=36)
    seq = models.PositiveBigIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    again_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=200, blank=True)
    is_on = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["outlet", "team_id"], name="one_cursor_of_a_place")
        ]

    def __str__(self) -> str:
        return f"{self.outlet} of {self.team_id} up to {self.seq}"
