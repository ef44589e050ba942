"""Decide which lines a member may read, and record that they searched or exported them."""

from collections.abc import Mapping

from django.db import transaction

from sessions.actors import Actor
from sessions.ledger.chain import Entry, append
from sessions.ledger.events.ledger import LedgerAsked, LedgerSearched
from sessions.ledger.search import EventSearch, Lines
from sessions.ledger.whois.asking import Answers
from sessions.ledger.whois.clues import is_public
from sessions.permissions import Action, NotAllowed, can

# A name or an address may be many people's; the line names the likeliest.
MOST_NAMED = 20


def reads_all(actor: Actor) -> bool:
    """Tell whether an actor may read the team's whole ledger, and not only their own events."""
    return can(actor, Action.READ_LEDGER)


def lines_for(actor: Actor, search: EventSearch | None = None) -> Lines:
    """Select those of the lines that a search finds which an actor may read.

    Raises `NotAllowed` for a token that is bound to some sessions: it says nothing of the rest.
    """
    if not can(actor, Action.VIEW):
        raise NotAllowed(actor, Action.READ_LEDGER)
    own = "" if reads_all(actor) else actor.username
    return Lines.of(actor.team_id, search or EventSearch(), own=own)


def record_search(actor: Actor, asked: Mapping[str, str]) -> None:
    """Record a search of other people's events; one's own, and a look at the newest, are none."""
    if asked and reads_all(actor) and asked != {"person": actor.username}:
        with transaction.atomic():
            append(actor.team_id, [Entry(LedgerSearched(search=dict(asked)), actor)])


def record_question(actor: Actor, text: str, answers: Answers) -> None:
    """Record what somebody asked about, and whom the answers name."""
    shown = text if is_public(text) else ""
    told = [
        LedgerAsked(
            what=asked.answer.clues.what,
            text=shown,
            certainty=asked.answer.certainty.value,
            people=asked.answer.people[:MOST_NAMED],
        )
        for asked in answers.found
    ]
    with transaction.atomic():
        append(actor.team_id, [Entry(each, actor) for each in told])
