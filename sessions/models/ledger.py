"""Store the ledger's events.

Ids and names are text, without foreign keys, so that they outlive their subjects.
"""

from datetime import datetime

from django.db import models

from sessions.db.compact_fields import HexText, UuidText
from sessions.db.event_json import EventJson
from sessions.db.json_text import JsonText

# What the ledger is searched by, as the indexes have it. A query finds an index only by the same
# expression and condition, so it takes both from here.
MINTED = models.Q(kind="credential.minted")
REVEALED = models.Q(kind="credential.revealed")
# SQLite finds an index by alternatives, and not by a list.
WITH_A_KEY = MINTED | REVEALED | models.Q(kind="root.opened")
BY_A_PERSON = ~models.Q(actor="worker")
ACCESS_KEY_ID = JsonText("data", "access_key_id")
PARENT_KEY_ID = JsonText("data", "parent_access_key_id")
ROLE_SESSION_NAME = JsonText("data", "role_session_name")
SOURCE_IDENTITY = JsonText("data", "source_identity")
ROOT_ID = JsonText("data", "root")
EXPIRES_AT = JsonText("data", "expires_at")
ORIGIN_ADDRESS = JsonText("data", "origin", "address")
LATEST = models.F("seq").desc()


class Event(models.Model):
    """Store one line: append-only, chained per team by `prev` → `hash`. See `sessions.ledger`.

    `kind` is the tag of a class in `sessions.ledger.events`, which reads `data` back. PostgreSQL
    keeps the lines in a partition for each month (`sessions.ledger.periods`), each of which holds
    the constraint for itself and none has a primary key. There `prev` is empty where it is the hash
    of the line before (`sessions.ledger.previous` fills it in).
    """

    team_id = UuidText(max_length=36)
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=150)
    session_id = UuidText(max_length=36, blank=True)
    session_alias = models.CharField(max_length=64, blank=True)
    data = EventJson(default=dict)
    prev = HexText(max_length=64)
    hash = HexText(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team_id", "seq"], name="one_line_per_number")
        ]
        indexes = [
            # Rising, as lines come: PostgreSQL then fills its pages instead of halving them.
            models.Index(fields=["session_id", "seq"], name="event_by_session"),
            # On SQLite only: by what a record of CloudTrail says, and by where somebody acted from.
            # PostgreSQL has these in its index of terms; see sessions/ledger/terms.py. Keys and
            # names differ by themselves; the team's id in front would double these indexes.
            models.Index(ACCESS_KEY_ID, LATEST, name="event_key", condition=WITH_A_KEY),
            models.Index(PARENT_KEY_ID, LATEST, name="event_parent_key", condition=MINTED),
            models.Index(ROLE_SESSION_NAME, LATEST, name="event_name", condition=MINTED),
            models.Index(SOURCE_IDENTITY, LATEST, name="event_source_identity", condition=MINTED),
            models.Index(ROOT_ID, LATEST, name="event_root", condition=MINTED),
            models.Index(ORIGIN_ADDRESS, LATEST, name="event_address", condition=BY_A_PERSON),
            # What somebody has taken, by how long they hold it; and who has left.
            models.Index("team_id", "actor", EXPIRES_AT, name="event_held", condition=REVEALED),
            models.Index(
                fields=["team_id", "-seq"],
                name="event_removed",
                condition=models.Q(kind="member.removed"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team_id} #{self.seq} {self.kind}"


class RepeatedData(models.Model):
    """Store what many lines of a team say alike in a month, on PostgreSQL: append-only.

    `id` is computed from the rest. See `sessions.db.repeated`, which reads and writes it.
    """

    id = models.BigIntegerField(primary_key=True)
    month = models.DateField()
    team_id = UuidText(max_length=36)
    data = models.JSONField()

    def __str__(self) -> str:
        return f"{self.team_id} in {self.month:%Y-%m}"


class LedgerHead(models.Model):
    """Store the end of one team's ledger; it is locked while lines are appended."""

    team_id = models.CharField(primary_key=True, max_length=36)
    seq = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)

    # The time, where whoever holds the lock has asked for it since. Never stored.
    read_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.team_id} ends at {self.seq}"


class Tombstone(models.Model):
    """Store one signed statement that a team's first lines were removed, up to line `seq`.

    See `sessions.ledger.tombstones`; the columns repeat what `text` says, to be found by. It is
    sent outside like a checkpoint.
    """

    team_id = models.CharField(max_length=36)
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    text = models.TextField()
    filed_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team_id", "seq"], name="one_tombstone_per_line")
        ]

    def __str__(self) -> str:
        return f"{self.team_id} has no lines up to {self.seq} any more"


class Checkpoint(models.Model):
    """Store one signed checkpoint of a team's ledger. See `sessions.ledger.checkpoints`.

    `text` is the signed line as it was made; the columns beside it repeat what it says, to be found
    by. `filed_at` and `posted_at` tell when it has reached the file and the address outside.
    """

    team_id = models.CharField(max_length=36)
    seq = models.PositiveBigIntegerField()
    head = models.CharField(max_length=64)
    at = models.DateTimeField()
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    text = models.TextField()
    filed_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # Two workers that sign at once make one checkpoint, and no fork.
            models.UniqueConstraint(
                fields=["team_id", "previous"], name="one_checkpoint_after_another"
            )
        ]
        indexes = [
            models.Index(fields=["team_id", "seq"], name="checkpoint_of_line"),
            models.Index(
                fields=["id"], name="checkpoint_to_file", condition=models.Q(filed_at=None)
            ),
            models.Index(
                fields=["id"], name="checkpoint_to_post", condition=models.Q(posted_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team_id} had {self.seq} lines at {self.at}"
