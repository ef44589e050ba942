"""Decide which lines a member may read, and record that they searched or exported them."""

from collections.abc import Mapping

from django.db import transaction

from sessions.ledger.chain import Entry, append
from sessions.ledger.events.ledger import LedgerSearched
from sessions.ledger.search import EventSearch, Lines
from sessions.models import Membership
from sessions.permissions import Action, NotAllowed, can


def reads_all(member: Membership) -> bool:
    """Tell whether a member may read the team's whole ledger, and not only their own events."""
    return can(member, Action.READ_LEDGER)


def lines_for(member: Membership, search: EventSearch | None = None) -> Lines:
    """Select those of the lines that a search finds which a member may read.

    Raises `NotAllowed` for a token that is bound to some sessions: it says nothing of the rest.
    """
    if not can(member, Action.VIEW):
        raise NotAllowed(member, Action.READ_LEDGER)
    own = "" if reads_all(member) else member.user.get_username()
    return Lines.of(member.team_id, search or EventSearch(), own=own)


def record_search(member: Membership, asked: Mapping[str, str]) -> None:
    """Record a search of other people's events; one's own, and a look at the newest, are none."""
    name = member.user.get_username()
    if asked and reads_all(member) and asked != {"person": name}:
        with transaction.atomic():
            append(member.team_id, [Entry(LedgerSearched(search=dict(asked)), name)])
