"""Join the records of a paste or a file: which call made each session, and whose chain it is.

The records may come in any order, and some of a chain may be missing. All of them are held in
memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sessions.aws.cloudtrail.actors import Actor, Who
from sessions.aws.cloudtrail.parties import Link, Party
from sessions.aws.cloudtrail.reading import Reading, read
from sessions.aws.cloudtrail.records import Record

# A chain of AWS has fewer hops in practice; this ends a circle that somebody wrote.
LONGEST_CHAIN = 50
# They name nobody: root's session may be one that AssumeRoot made.
_UNNAMED = frozenset({Actor.NOBODY, Actor.ROOT})


@dataclass(frozen=True, slots=True)
class Origin:
    """Hold the calls that may have made a record's session: one, several, or none that is known.

    `link` is what they share with the record, None where there is no call. Several calls stand
    there where they differ in no way that the record tells.
    """

    calls: tuple[Record, ...] = ()
    link: Link | None = None


class Joins:
    """Join records by the links of their sessions, the surest first."""

    def __init__(self, records: Iterable[Record]) -> None:
        # The record is kept with its reading: another would get its number otherwise.
        self._readings: dict[int, tuple[Record, Reading]] = {}
        self._made: dict[Link, dict[str, Record]] = {}
        for number, record in enumerate(records):
            reading = self.reading(record)
            if reading.child is not None:
                # The copies of one call in two accounts are one; the caller's says more.
                call = record.call_id or f"number {number}"
                for link in reading.child.links:
                    calls = self._made.setdefault(link, {})
                    if call not in calls or calls[call].identity.type == "AWSAccount":
                        calls[call] = record

    def reading(self, record: Record) -> Reading:
        """Return the reading of a record, read once."""
        if id(record) not in self._readings:
            self._readings[id(record)] = record, read(record)
        return self._readings[id(record)][1]

    def origin(self, record: Record) -> Origin:
        """Find the calls that made the session which a record is an act of."""
        party = self.reading(record).parent
        for link in party.links if party is not None else ():
            calls = self._made.get(link, {})
            if found := tuple(call for call in calls.values() if call is not record):
                return Origin(_without_copies(found), link)
        return Origin()

    def chain(self, record: Record) -> tuple[Record, ...]:
        """Return the calls that led to a record's session, the first of the chain first.

        It begins later where a call is missing, or where several may have made the session.
        """
        calls: list[Record] = []
        at = record
        while len(calls) < LONGEST_CHAIN:
            origin = self.origin(at)
            if len(origin.calls) != 1 or any(origin.calls[0] is call for call in calls):
                break
            at = origin.calls[0]
            calls.insert(0, at)
        return tuple(calls)

    def who(self, record: Record) -> Who:
        """Tell who acted: the record's own person, else the nearest one up its chain."""
        own = self.reading(record).who
        if own.actor not in _UNNAMED:
            return own
        for call in reversed(self.chain(record)):
            found = self.reading(call).who
            if found.actor not in _UNNAMED:
                return found
        return own

    def beginning(self, record: Record) -> Party | None:
        """Return the session, user or account in which a record's chain begins."""
        chain = self.chain(record)
        return self.reading(chain[0] if chain else record).parent


def _without_copies(calls: tuple[Record, ...]) -> tuple[Record, ...]:
    """Take the two records of one Switch Role for one: the console's own, and its AssumeRole.

    The AssumeRole stays where it names its caller.
    """
    switches = [
        call for call in calls if call.issued is not None and call.issued.by == "SwitchRole"
    ]
    others = [call for call in calls if call not in switches]
    if len(switches) != 1 or len(others) != 1:
        return calls
    return tuple(switches if others[0].identity.type == "AWSAccount" else others)
