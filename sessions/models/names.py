"""Store which role session names are in use: what the ledger's lines say, counted."""

from django.db import models


class NameUse(models.Model):
    """Count the credentials issued under one role session name, for one person of one session.

    Ids and names are text, as in the ledger. All of it follows from the ledger's lines, and is made
    again from them where it is emptied. `shared`: some were issued for several people at once.
    """

    team_id = models.CharField(max_length=36)
    name = models.CharField(max_length=64)
    person = models.CharField(max_length=150)
    session = models.CharField(max_length=64)
    account = models.CharField(max_length=12)
    shared = models.BooleanField(default=False)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    uses = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team_id", "name", "person", "session", "account"], name="one_use_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.uses} times for {self.person}"


class NamesCounted(models.Model):
    """Store up to which line of a team's ledger its names are counted."""

    team_id = models.CharField(primary_key=True, max_length=36)
    seq = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.team_id} up to {self.seq}"
