"""Append to the ledger: one hash-chained sequence of events per team.

Each line's hash is SHA-256 over its canonical form, in which the previous line's hash stands. See
`sessions.ledger.lines`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction

from sessions.actors import AnyActor
from sessions.db import repeated
from sessions.db.clock import database_now
from sessions.db.row_locks import lock_first
from sessions.ledger import lines, origin
from sessions.ledger.events import EventData, is_kind
from sessions.ledger.events.people import TeamCreated
from sessions.ledger.previous import START, prev_of
from sessions.ledger.shortening import shorten
from sessions.locks.turnstile import waiting_for
from sessions.models import AwsSession, Event, LedgerHead

# What a trigger, a constraint or a missing privilege raises. A database that is away or busy raises
# its own errors, which pass.
_REFUSED = (IntegrityError, InternalError, ProgrammingError)


class LedgerError(Exception):
    """Report that the ledger did not take the lines: nothing of the transaction may stand."""


@dataclass(frozen=True)
class Subject:
    """Name the session that a line is about, by id and alias; a whole `AwsSession` does as well."""

    pk: UUID
    alias: str


@dataclass(frozen=True)
class Entry:
    """Hold what is about to become an event: what happened, who did it, to which session."""

    event: EventData
    actor: AnyActor
    session: AwsSession | Subject | None = None

    def __post_init__(self) -> None:
        if not is_kind(type(self.event)):
            raise TypeError(f"{type(self.event).__name__} is no registered kind of event.")


def canonical(event: Event) -> bytes:
    """Return the bytes that an event's hash speaks for: everything in it but the hash itself."""
    return lines.canonical(
        event.team_id,
        event.seq,
        event.at,
        str(event.kind),
        event.actor,
        event.session_id,
        event.session_alias,
        event.data,
        prev_of(event),
    )


def hash_of(event: Event) -> str:
    """Return the hash that an event as it stands has to have."""
    return hashlib.sha256(canonical(event)).hexdigest()


def hold(team_id: object) -> LedgerHead | None:
    """Lock a team's ledger until the transaction ends; None for a team that has none yet.

    Whatever changes a right ends with a line, so it holds this lock when it commits. What is read
    in a later statement than this one is therefore either unchanged until the reader's own line is
    written, or already carries the change. On SQLite the transaction itself is the lock: it is
    begun IMMEDIATE.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(
            "An event is written in the transaction of what it tells of; there is none open."
        )
    with waiting_for("ledger", team_id):
        return lock_first(LedgerHead.objects.filter(pk=str(team_id)))


@contextmanager
def committed() -> Iterator[None]:
    """Run a transaction of its own, behind which something leaves that its line tells of.

    Raises `LedgerError` if the commit is refused, as by a trigger or constraint that comes last.
    """
    is_done = False
    try:
        with transaction.atomic(durable=True):
            yield
            is_done = True
    except _REFUSED as error:
        if not is_done:
            raise
        raise LedgerError("A line was not committed.") from error


class Gathered:
    """Hold the events of one transaction that makes many changes, until its end."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def drop_after(self, count: int) -> None:
        """Forget the events behind the first ones, since what they tell of was taken back."""
        del self.entries[count:]


_gathering: ContextVar[Gathered | None] = ContextVar("gathering", default=None)


@contextmanager
def gathered(team: object, *, dropped: bool = False) -> Iterator[Gathered]:
    """Append all events of a block at its end, so that the head is still locked last.

    `dropped`: the caller takes everything back, so nothing is appended.
    """
    told = Gathered()
    before = _gathering.set(told)
    try:
        yield told
    finally:
        _gathering.reset(before)
    if not dropped:
        append(team, told.entries)


def append(team: object, entries: Sequence[Entry]) -> list[Event]:
    """Append events to a team's ledger in the caller's transaction.

    `team`: its id, or the head that `hold` has returned in this transaction. The head is locked
    until that transaction ends, so lock it last and never while AWS is called. Inside of `gathered`
    they are appended at its end, and none is returned. Raises `LedgerError`, and dooms the
    transaction, if a line is not taken.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(
            "An event is written in the transaction of what it tells of; there is none open."
        )
    if (told := _gathering.get()) is not None:
        told.entries += entries
        return []
    if not entries:
        return []
    head = team if isinstance(team, LedgerHead) else hold(team) or _begin(str(team), entries[0])
    now = head.read_at or database_now()
    asked_from = origin.current().as_data()
    came_from = {origin.KEY: asked_from} if asked_from else {}
    events = []
    seq, prev = head.seq, head.hash
    for entry in entries:
        seq += 1
        event = Event(
            team_id=head.team_id,
            seq=seq,
            at=now,
            kind=entry.event.tag,
            actor=entry.actor.username,
            session_id=str(entry.session.pk) if entry.session else "",
            session_alias=entry.session.alias if entry.session else "",
            data=entry.event.as_data() | came_from,
            prev=prev,
        )
        prev = event.hash = hash_of(event)
        events.append(event)
    shorten(events)
    try:
        written = Event.objects.bulk_create(events)
    except (*_REFUSED, TypeError) as error:  # Django's, where no row comes back
        _doom(head.team_id, f"the database refused a line: {type(error).__name__}", error)
    # A rule or trigger that swallows a line gives it no number.
    if any(event.pk is None for event in written):
        _doom(head.team_id, "a line was not stored")
    # By what it was: a head that somebody else has moved meanwhile, or that is not there any more,
    # moves nothing.
    as_read = LedgerHead.objects.filter(pk=head.team_id, seq=head.seq, hash=head.hash)
    try:
        moved = as_read.update(seq=seq, hash=prev)
    except _REFUSED as error:
        _doom(head.team_id, f"the database refused a new head: {type(error).__name__}", error)
    if moved != 1:
        _doom(head.team_id, f"{moved} heads moved where one had to")
    head.seq, head.hash = seq, prev
    return events


def _begin(team: str, first: Entry) -> LedgerHead:
    """Return the head of a new team's ledger.

    Any other team whose head is gone has lost it: no second ledger is begun.
    """
    if not isinstance(first.event, TeamCreated):
        _doom(team, "its head is gone")
    LedgerHead.objects.bulk_create(
        [LedgerHead(team_id=team, seq=0, hash=START)], ignore_conflicts=True
    )
    head = hold(team)
    if head is None:
        _doom(team, "its head could not be made")
    return head


def _doom(team: str, reason: str, cause: Exception | None = None) -> NoReturn:
    # Whoever catches the error must not be able to commit the rest.
    transaction.set_rollback(True)
    repeated.forget()
    text = f"The ledger of {team} did not take what was to be written: {reason}."
    raise LedgerError(text) from cause


def length(team_id: object) -> int:
    """Count the lines of a team's ledger."""
    return LedgerHead.objects.filter(pk=str(team_id)).values_list("seq", flat=True).first() or 0
