"""Store what was read of CloudTrail, to be compared with the ledger.

Names of the ledger are text here as there: they outlive their subjects.
"""

import uuid

from django.db import models

from sessions import sealing
from sessions.models.leased import Retried
from sessions.models.people import Team
from sessions.models.sessions import AwsSession
from sessions.sealing import SealContext
from sessions.secret import Secret


class TrailSource(models.TextChoices):
    FILE = "file"
    LOOKUP = "lookup"


class TrailState(models.TextChoices):
    """Name the states of an import. Its records count from `DONE` on; those of a lookup at once."""

    UPLOADING = "uploading"
    WAITING = "waiting"
    READING = "reading"
    DONE = "done"
    FAILED = "failed"
    DELETING = "deleting"


class TrailImport(Retried):
    """Store one uploaded log file, or one walk through LookupEvents, and how far it has come.

    `person`: who asked for it, by username. `reason`: why it failed. `records` were read, `known`
    of them were there already. `upto`: the ledger's last line when the reading began.
    Of a lookup, `session` is whose credentials sign, `cursor` AWS's own for the next page, and
    `until` moves back where AWS has forgotten the cursor. `is_shown`: its records count.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="trail_imports")
    source = models.CharField(max_length=10, choices=TrailSource.choices)
    state = models.CharField(max_length=10, choices=TrailState.choices)
    is_shown = models.BooleanField(default=False)
    name = models.CharField(max_length=200)
    person = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    size = models.PositiveBigIntegerField(default=0)
    position = models.PositiveBigIntegerField(default=0)
    records = models.PositiveBigIntegerField(default=0)
    known = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.TextField(blank=True)
    upto = models.PositiveBigIntegerField(default=0)
    session = models.ForeignKey(AwsSession, on_delete=models.SET_NULL, null=True, related_name="+")
    region = models.CharField(max_length=32, blank=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    cursor = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["team", "-created_at"], name="trail_import_of_team")]

    def __str__(self) -> str:
        return f"{self.name} of {self.team_id}"


class TrailPart(models.Model):
    """Store a part of an uploaded file until a worker has read it.

    Web and workers may be on different machines: the database is what both have. `data` is sealed:
    CloudTrail's records of AssumeRole hold session tokens.
    """

    trail_import = models.ForeignKey(TrailImport, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trail_import", "number"], name="one_part_per_number")
        ]

    def __str__(self) -> str:
        return f"part {self.number} of {self.trail_import_id}"

    @staticmethod
    def sealed(taken: TrailImport, number: int, content: bytes) -> "TrailPart":
        """Make a part of that number; any bytes are text of that many characters below 256."""
        part = TrailPart(trail_import=taken, number=number)
        part.data = sealing.seal(Secret(content.decode("latin-1")), part.seal_context)
        return part

    def open(self) -> bytes:
        """Return what was uploaded. Raises `SealingError`."""
        return sealing.open_sealed(self.data, self.seal_context).reveal().encode("latin-1")

    @property
    def seal_context(self) -> SealContext:
        taken = self.trail_import
        row = f"{taken.pk} {self.number}"
        return SealContext("chains_trailpart", "data", row, str(taken.team_id), 0)


class TrailRecord(models.Model):
    """Store one record of CloudTrail, and what the ledger says of it.

    `event_key` is the same for the same record, by whatever way it came. The columns up to `detail`
    say who acted as the record tells it: `session_key` joins records of one session whatever key
    they used, `made_key` and `made_session` are of the session that the call made. `detail` is for
    people: no search looks into it.

    The rest follows from comparing. `kind` is a `sessions.ledger.drift.kinds.Kind`. `line` is the
    number of the ledger's line that issued what was used, `issued_for` the session of that line,
    `by_key` that the call was made under exactly that key. `people`: who it was, the likeliest
    first. `made_by`: the record of the call that made this one's session.
    """

    id = models.BigAutoField(primary_key=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False)
    trail_import = models.ForeignKey(
        TrailImport, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    event_key = models.CharField(max_length=64)
    at = models.DateTimeField()
    event_name = models.CharField(max_length=128)
    event_source = models.CharField(max_length=128)
    region = models.CharField(max_length=32)
    address = models.CharField(max_length=128)
    account = models.CharField(max_length=32)
    changes = models.BooleanField()
    denied = models.BooleanField()
    failed = models.BooleanField()
    access_key_id = models.CharField(max_length=128)
    principal_id = models.CharField(max_length=256)
    role_name = models.CharField(max_length=256)
    session_name = models.CharField(max_length=256)
    source_identity = models.CharField(max_length=256)
    began_at = models.DateTimeField(null=True)
    session_key = models.CharField(max_length=300)
    made_key = models.CharField(max_length=128)
    made_session = models.CharField(max_length=300)
    detail = models.JSONField()

    kind = models.CharField(max_length=12)
    breaks_policy = models.BooleanField(default=False)
    lacks_identity = models.BooleanField(default=False)
    line = models.PositiveBigIntegerField(null=True)
    issued_for = models.CharField(max_length=36, blank=True)
    by_key = models.BooleanField(default=False)
    people = models.JSONField(default=list)
    made_by = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["trail_import", "event_key"], name="one_record_per_import"
            )
        ]
        indexes = [
            models.Index(fields=["team", "-at", "-id"], name="trail_at"),
            models.Index(fields=["trail_import", "-at", "-id"], name="trail_of_import"),
            models.Index(fields=["team", "kind", "-at", "-id"], name="trail_kind"),
            models.Index(
                fields=["team", "-at", "-id"],
                name="trail_breaks_policy",
                condition=models.Q(breaks_policy=True),
            ),
            models.Index(
                fields=["team", "-at", "-id"],
                name="trail_lacks_identity",
                condition=models.Q(lacks_identity=True),
            ),
            models.Index(fields=["event_key"], name="trail_event_key"),
            models.Index(
                fields=["access_key_id"], name="trail_key", condition=~models.Q(access_key_id="")
            ),
            models.Index(
                fields=["session_key"], name="trail_session", condition=~models.Q(session_key="")
            ),
            models.Index(fields=["made_key"], name="trail_made", condition=~models.Q(made_key="")),
            models.Index(
                fields=["made_session"],
                name="trail_made_session",
                condition=~models.Q(made_session=""),
            ),
            models.Index(
                fields=["made_by"], name="trail_made_by", condition=~models.Q(made_by=None)
            ),
            models.Index(
                fields=["issued_for", "-at", "-id"],
                name="trail_issued_for",
                condition=~models.Q(issued_for=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_name} at {self.at}"


class TrailCompared(models.Model):
    """Store up to which line of a team's ledger, and with which policy, its records are compared.

    The row is locked while an import is switched on, so that two of them see each other's records.
    `judging`: a changed policy is being applied, up to the record `judged`.
    """

    team = models.OneToOneField(Team, on_delete=models.CASCADE, primary_key=True, related_name="+")
    seq = models.PositiveBigIntegerField(default=0)
    policy_version = models.PositiveIntegerField(default=0)
    judging = models.BooleanField(default=False)
    judged = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.team_id} up to {self.seq}"
