"""Verify a team's ledger: each line in its place, unchanged, and as checkpoints say it was."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sessions.ledger.chain import length
from sessions.ledger.events.ledger import LedgerRemoved
from sessions.ledger.lines import Line, stored_lines
from sessions.ledger.previous import START
from sessions.ledger.tombstones import Removed
from sessions.models import Event, LedgerHead, Team

# {number of a line: [(the hash it had, when that was signed)]}
SignedHeads = Mapping[int, Sequence[tuple[str, datetime]]]


@dataclass(frozen=True)
class Fault:
    """Name the first line of a ledger that does not hold, and why."""

    team_id: str
    seq: int
    reason: str


@dataclass
class Walk:
    """Follow a ledger from after line `seq`, whose hash is `prev`.

    `signed_seq` and `signed_at` are the last line that a checkpoint confirmed, and when; `removed`
    says which lines before it are not there any more.
    """

    team_id: str
    signed: SignedHeads
    seq: int = 0
    prev: str = START
    signed_seq: int = 0
    signed_at: datetime | None = None
    removed: Removed | None = None

    @classmethod
    def after(cls, removed: Removed | None, team_id: str, signed: SignedHeads) -> "Walk":
        """Begin after the lines that were removed, if any were."""
        if removed is None:
            return cls(team_id, signed)
        return cls(team_id, signed, removed.seq, removed.head, removed=removed)

    def confirm_start(self) -> Fault | None:
        """Compare the line before the first with what checkpoints say of it."""
        return self.compare(self.signed.get(self.seq, ()))

    def follow(self, lines: Iterable[Line]) -> Fault | None:
        """Follow these lines to their end, or return the first fault."""
        sha256, signed, seq, prev = hashlib.sha256, self.signed, self.seq, self.prev
        for line in lines:
            seq += 1
            if line.seq != seq:
                return Fault(self.team_id, seq, "the line is missing")
            if line.prev != prev:
                return Fault(self.team_id, seq, "it does not follow the line before it")
            prev = line.hash
            if sha256(line.content).hexdigest() != prev:
                return Fault(self.team_id, seq, "its content is not what was written")
            self.seq, self.prev = seq, prev
            if seq in signed and (fault := self.compare(signed[seq])):
                return fault
        return None

    def compare(self, said: Iterable[tuple[str, datetime]]) -> Fault | None:
        """Compare the last line with what checkpoints say of it."""
        for head, at in said:
            if head != self.prev:
                return Fault(
                    self.team_id,
                    self.signed_seq + 1,
                    f"it or a later line up to {self.seq} was changed, and hashed again, after a"
                    f" checkpoint of line {self.seq} was signed on {at:%Y-%m-%d %H:%M:%S} UTC",
                )
            self.signed_seq, self.signed_at = self.seq, at
        return None

    def beyond(self) -> Fault | None:
        """Find a checkpoint of a line that is not there any more."""
        later = {seq: said for seq, said in self.signed.items() if seq > self.seq}
        if not later:
            return None
        last = max(later)
        return Fault(
            self.team_id,
            self.seq + 1,
            f"the line is missing; a checkpoint of line {last} was signed on"
            f" {later[last][0][1]:%Y-%m-%d %H:%M:%S} UTC",
        )


def verify(
    team_id: str, signed: SignedHeads | None = None, removed: Removed | None = None
) -> Fault | None:
    """Walk a team's ledger from its first line to its head; None: all of it holds.

    `signed`: what the team's checkpoints say, read before; `removed`: its last tombstone. Lines may
    be appended meanwhile: those up to the head of before must be there, those beyond it must be the
    head's of after.
    """
    return walk(team_id, signed, removed)[1]


def walk(
    team_id: str, signed: SignedHeads | None = None, removed: Removed | None = None
) -> tuple[Walk, Fault | None]:
    """Verify a team's ledger as `verify` does, and tell also how far checkpoints confirm it."""
    ended_at = length(team_id)
    going = Walk.after(removed, team_id, signed or {})
    fault = going.confirm_start()
    fault = fault or going.follow(
        stored_lines(Event.objects.filter(team_id=team_id), (going.seq, going.prev))
    )
    fault = fault or going.beyond() or _fault_of_head(going, ended_at)
    return going, fault or (_unrecorded(removed) if removed else None)


def _unrecorded(removed: Removed) -> Fault | None:
    """Find that no line of the ledger tells of a removal."""
    line = Event.objects.filter(team_id=removed.team_id, seq=removed.event).first()
    said = LedgerRemoved.read(line.data) if line and line.kind == LedgerRemoved.tag else None
    if said and (said.first, said.upto, said.head) == (removed.first, removed.seq, removed.head):
        return None
    reason = f"it does not record that the lines up to {removed.seq} were removed"
    return Fault(removed.team_id, removed.event, reason)


def _fault_of_head(walked: Walk, ended_at: int) -> Fault | None:
    team_id, seq = walked.team_id, walked.seq
    if ended_at > seq:
        return Fault(team_id, seq + 1, f"the line is missing; the ledger ended at {ended_at}")
    head = LedgerHead.objects.filter(pk=team_id).first()
    if head is None:
        if not seq and not _team_exists(team_id):
            return None
        return Fault(team_id, 1, "the ledger's head is missing" if seq else "the ledger is gone")
    if head.seq < seq or (head.seq == seq and head.hash != walked.prev):
        return Fault(team_id, head.seq + 1, "the line was never appended through the ledger's head")
    return None


def _team_exists(team_id: str) -> bool:
    """Check that a team has a ledger.

    Its first line was written in the transaction that created the team.
    """
    return team_id in map(str, Team.objects.values_list("pk", flat=True))


def teams_with_a_ledger() -> list[str]:
    """Return the ids of teams with events or a head, or that must have some.

    Deleted teams are included.
    """
    return sorted(
        {
            *map(str, Team.objects.values_list("pk", flat=True)),
            *Event.objects.values_list("team_id", flat=True).distinct(),
            *LedgerHead.objects.values_list("pk", flat=True),
        }
    )
