"""List the people that a question may be about."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from sessions.ledger.whois.lines import Delivery, Issue
from sessions.models import NameUse

MOST_KEYS = 50
Value = TypeVar("Value")


class Trace(NamedTuple):
    """Hold one trace of a person: when, through which session, with which key."""

    person: str
    at: datetime
    session: str
    access_key_id: str


@dataclass(frozen=True)
class Candidate:
    """Hold one person who may be meant: through which sessions, first and last when.

    `same_address`: they took it from where the call came from.
    """

    person: str
    sessions: tuple[str, ...]
    access_key_ids: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    same_address: bool = False


def by_delivery(deliveries: Iterable[Delivery]) -> list[Trace]:
    return [
        Trace(each.person, each.at, each.session_alias, each.access_key_id) for each in deliveries
    ]


def by_issue(found: Iterable[Issue]) -> list[Trace]:
    return [
        Trace(person, each.at, each.session_alias or each.role_name, each.access_key_id)
        for each in found
        for person in each.people
    ]


def people_of(traces: Iterable[Trace], at_address: Collection[str] = ()) -> list[Candidate]:
    """List the people of these traces: who was at the call's address first, then who was last."""
    by_person: dict[str, list[Trace]] = {}
    for trace in traces:
        by_person.setdefault(trace.person, []).append(trace)
    candidates = [
        Candidate(
            person,
            distinct(trace.session for trace in theirs if trace.session),
            distinct(trace.access_key_id for trace in theirs if trace.access_key_id)[:MOST_KEYS],
            min(trace.at for trace in theirs),
            max(trace.at for trace in theirs),
            person in at_address,
        )
        for person, theirs in by_person.items()
    ]
    return sorted(candidates, key=lambda each: (each.same_address, each.last_at), reverse=True)


def by_use(uses: Iterable[NameUse]) -> list[Trace]:
    """Return what is counted of a name: who used it first and last, through which session."""
    return [
        Trace(use.person, at, use.session, "")
        for use in uses
        for at in (use.first_at, use.last_at)
        if use.person
    ]


def distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    """Return each value once, in the order of the first."""
    return tuple(dict.fromkeys(values))
