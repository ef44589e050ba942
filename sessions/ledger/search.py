"""Find lines of a ledger by what they say and when, the newest or the oldest first.

No search counts or skips lines: a page begins at a line's number.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from sessions.db.batches import in_batches
from sessions.ledger.chain import length
from sessions.ledger.events import as_stored
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.held import LONGEST_LIFE
from sessions.ledger.sqlite_search import narrowed
from sessions.ledger.terms import (
    ABOUT,
    ACCOUNT,
    ADDRESS,
    BLOCK,
    KEY,
    KIND,
    NAME,
    PARENT,
    ROLE,
    ROOT,
    SUBJECT,
    WHO,
    Choice,
    choice,
    choice_of_kinds,
    terms_of,
)
from sessions.models import Event
from sessions.models.ledger import EXPIRES_AT

# Times follow the numbers of lines, but for a clock that was set back by less than this.
CLOCK_STEPS = timedelta(hours=1)
BATCH = 2000
LEAST_BATCH = 50


@dataclass(frozen=True)
class EventSearch:
    """Hold what to search for; what is empty is not looked at.

    `person`: who acted, for whom a worker did, or whose membership or token it is, by username.
    `session`: its id or its alias of then. `role`: an ARN or a role's name. `name`: a role session
    name, a source identity or a name in CloudTrail. `key`: an access key id, also as the one that
    signed a call. `root`: the id of the session that a chain begins at: what was issued through it.
    `kind`: a tag, or what stands before its dot. `since` counts, `until` does not.
    `held`: who took credentials, by username; they were taken before `until` and valid after
    `since`.
    """

    person: str = ""
    session: str = ""
    account: str = ""
    role: str = ""
    name: str = ""
    key: str = ""
    root: str = ""
    kind: str = ""
    address: str = ""
    held: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def wanted(self) -> tuple[Choice, ...]:
        """Return what a line must have, as choices of terms."""
        places = {
            "person": (WHO, ABOUT),
            "session": (SUBJECT,),
            "account": (ACCOUNT,),
            "role": (ROLE,),
            "name": (NAME,),
            "key": (KEY, PARENT),
            "root": (ROOT,),
            "kind": (KIND,),
            "address": (ADDRESS,),
        }
        wanted = tuple(
            choice(getattr(self, field), *letters)
            for field, letters in places.items()
            if getattr(self, field)
        )
        taken = choice(self.held, WHO), choice_of_kinds(CredentialRevealed.tag)
        return (*wanted, *taken) if self.held else wanted


def batched(seqs: list[int], size: int) -> Iterator[list[int]]:
    """Cut a list into parts of at most `size`."""
    return (seqs[begin : begin + size] for begin in range(0, len(seqs), size))


@dataclass(frozen=True)
class Lines:
    """Select lines of one team's ledger, to be read in parts.

    `wanted`: of each of these choices a line has a term. `valid_after`: what it tells of expires
    later than that.
    """

    team_id: str
    wanted: tuple[Choice, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    valid_after: datetime | None = None

    @classmethod
    def of(cls, team_id: object, search: EventSearch, *, own: str = "") -> "Lines":
        """Select what a search finds. `own`: only lines of that person, or written for them."""
        wanted = (*search.wanted(), *([choice(own, WHO)] if own else []))
        if not search.held or search.since is None:
            return cls(str(team_id), wanted, search.since, search.until)
        # What was taken earlier than that had ended by then.
        since = search.since - LONGEST_LIFE
        return cls(str(team_id), wanted, since, search.until, search.since)

    def having(self, *wanted: Choice) -> "Lines":
        """Select those of these lines that have a term of each of some more choices."""
        return replace(self, wanted=(*self.wanted, *wanted))

    def newest(self, limit: int, *, before: int | None = None) -> list[Event]:
        """Read the last of the lines, the newest first; `before`: of those before that number."""
        low, high = self._bounds
        high = high if before is None else min(high, before - 1)
        return list(self._read(low, high, limit, descending=True))

    def oldest(self, limit: int, *, after: int = 0) -> list[Event]:
        """Read the first of the lines, the oldest first; `after`: of those after that number."""
        low, high = self._bounds
        return list(self._read(max(low, after + 1), high, limit, descending=False))

    def get(self, seq: int) -> Event | None:
        """Return one line, if it is among these."""
        line = self._all.filter(seq=seq).first() if 0 < seq < 2**63 else None
        return line if line is not None and self._holds(line) else None

    @property
    def begin(self) -> int:
        """Return the number of the first line that can be among these."""
        return self._bounds[0]

    @property
    def end(self) -> int:
        """Return the number of the last line that can be among these, as of the first look."""
        return self._bounds[1]

    def each(self) -> Iterator[Event]:
        """Yield all of the lines up to `end`, the oldest first, in constant memory."""
        low, high = self._bounds
        if not self.wanted or connection.vendor != "postgresql":
            yield from self._read(low, high, high, descending=False)
            return
        while seqs := self._found(low, high, BLOCK, descending=False):
            for some in batched(seqs, BATCH):
                lines = self._all.filter(seq__in=some).order_by("seq")
                yield from filter(self._holds, lines)
            low = seqs[-1] + 1

    def without_terms(self) -> QuerySet[Event] | None:
        """Return all of the lines up to `end` as a query, if only the time is searched."""
        low, high = self._bounds
        return None if self.wanted else self._in_time(self._all.filter(seq__range=(low, high)))

    def seqs(self, limit: int) -> list[int]:
        """Return the numbers of the last of the lines, the newest first."""
        low, high = self._bounds
        if self.wanted and connection.vendor == "postgresql":
            return self._found(low, high, limit, descending=True)
        return [each.seq for each in self._read(low, high, limit, descending=True)]

    @property
    def _all(self) -> QuerySet[Event]:
        return Event.objects.filter(team_id=self.team_id)

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        """Return the numbers between which the searched time lies, both included."""
        end = length(self.team_id)
        low, _ = self._near(self.since - CLOCK_STEPS, end) if self.since else (1, end)
        _, high = self._near(self.until + CLOCK_STEPS, end) if self.until else (1, end)
        return low, min(high, end)

    def _near(self, moment: datetime, end: int) -> tuple[int, int]:
        """Find by halving where a moment lies: from which number on, and before which, it may be.

        Both are the number of the first line since then, where no line of the ledger is missing.
        """
        at = connection.ops.adapt_datetimefield_value(moment)
        values = [end + 1, at, at, self.team_id, self.team_id]
        with connection.cursor() as cursor:
            cursor.execute(HALVING, values)
            low, high = cursor.fetchone()
        return low, high

    def _holds(self, line: Event) -> bool:
        if (self.since and line.at < self.since) or (self.until and line.at >= self.until):
            return False
        ends = str(line.data.get("expires_at") or "")
        if self.valid_after and not ends > as_stored(self.valid_after):
            return False
        terms = terms_of(line) if self.wanted else set()
        return all(terms & each for each in self.wanted)

    def _in_time(self, lines: QuerySet[Event]) -> QuerySet[Event]:
        if self.since:
            lines = lines.filter(at__gte=self.since)
        return lines.filter(at__lt=self.until) if self.until else lines

    def _read(self, low: int, high: int, limit: int, *, descending: bool) -> Iterator[Event]:
        if not self.wanted:
            lines = self._in_time(self._all.filter(seq__gte=low, seq__lte=high))
            size = min(limit, BATCH)
            return islice(in_batches(lines, "seq", size=size, descending=descending), limit)
        if connection.vendor == "postgresql":
            found = self._found(low, high, limit, descending=descending)
            queries = [self._all.filter(seq__in=found)]
        else:
            lines = self._in_time(self._all.filter(seq__gte=low, seq__lte=high))
            if self.valid_after:
                lines = lines.alias(ends=EXPIRES_AT).filter(ends__gt=as_stored(self.valid_after))
            queries = narrowed(lines, self.wanted)
        size = max(LEAST_BATCH, min(limit, BATCH))
        reads = (in_batches(each, "seq", size=size, descending=descending) for each in queries)
        merged = merge(*reads, key=attrgetter("seq"), reverse=descending)
        once = (next(same) for _, same in groupby(merged, key=attrgetter("seq")))
        # Index and mention are good guesses: the line itself decides.
        return islice(filter(self._holds, once), limit)

    def _found(self, low: int, high: int, limit: int, *, descending: bool) -> list[int]:
        """Look up the numbers of lines in PostgreSQL's index of terms, block by block."""
        if high < low:
            return []
        conditions: list[str] = []
        values: list[Any] = []
        for each in self.wanted:
            marks = ", ".join(["hashtextextended(%s || block || %s, 0)"] * len(each))
            conditions.append(f"{TERMS} && ARRAY[{marks}]")
            values += [part for one in sorted(each) for part in (f"{self.team_id}|", f"|{one}")]
        if self.since:
            conditions.append("at + interval '0' >= %s")
            values.append(self.since)
        if self.until:
            conditions.append("at + interval '0' < %s")
            values.append(self.until)
        if self.valid_after:
            conditions.append("data ->> 'expires_at' > %s")
            values.append(as_stored(self.valid_after))
        first, last = low // BLOCK, high // BLOCK
        order, ends = ("DESC", (last, first, -1)) if descending else ("ASC", (first, last, 1))
        # "+ 0" and "::text" keep the planner, which knows little of a ledger that has grown since
        # its last ANALYZE, from walking along the numbers or reading all of them for a BitmapAnd.
        statement = (
            f"SELECT line.seq FROM generate_series(%s::bigint, %s, %s) AS block CROSS JOIN LATERAL"  # noqa: S608  (ours, and marks)
            f" (SELECT seq FROM chains_event WHERE {' AND '.join(conditions)}"
            " AND team_id::text = %s AND seq + 0 BETWEEN %s AND %s"
            f" ORDER BY seq + 0 {order} LIMIT %s) AS line LIMIT %s"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [*ends, *values, self.team_id, low, high, limit, limit])
            return [seq for (seq,) in cursor.fetchall()]


def last_of_session(team_id: object, session_id: object, limit: int) -> list[Event]:
    """Read the last lines about a session, the newest first."""
    if connection.vendor == "postgresql":
        return Lines(str(team_id), (choice(str(session_id), SUBJECT),)).newest(limit)
    lines = Event.objects.filter(team_id=str(team_id), session_id=str(session_id))
    return list(lines.order_by("-seq")[:limit])


HALVING = (
    "WITH RECURSIVE halving(low, high) AS (SELECT CAST(1 AS bigint), CAST(%s AS bigint) UNION ALL"
    " SELECT CASE WHEN line.at >= %s THEN low ELSE line.seq + 1 END,"
    " CASE WHEN line.at >= %s THEN (low + high) / 2 ELSE high END"
    " FROM halving JOIN chains_event AS line ON line.team_id = %s AND line.seq ="
    " (SELECT min(seq) FROM chains_event WHERE team_id = %s AND seq >= (low + high) / 2)"
    " WHERE low < high) SELECT max(low), min(high) FROM halving"
)
TERMS = "chains_event_terms(team_id::text, seq, kind, actor, session_id::text, session_alias, data)"
