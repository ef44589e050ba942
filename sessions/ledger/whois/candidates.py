"""List the people that a question may be about."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from sessions.ledger.whois.lines import Delivery, Issue

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
    """Hold one person who may be meant: through which sessions, first and last when."""

    person: str
    sessions: tuple[str, ...]
    access_key_ids: tuple[str, ...]
    first_at: datetime
    last_at: datetime


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


def people_of(traces: Iterable[Trace]) -> list[Candidate]:
    """List the people of these traces, who was last first."""
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
        )
        for person, theirs in by_person.items()
    ]
    return sorted(candidates, key=lambda each: each.last_at, reverse=True)


def distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    """Return each value once, in the order of the first."""
    return tuple(dict.fromkeys(values))
