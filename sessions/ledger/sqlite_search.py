"""Narrow a search of the ledger on SQLite, which has no index of terms.

What is left may lack what is wanted: the search looks at each line.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from sessions.db.json_text import JsonText
from sessions.ledger.terms import ADDRESS, KEY, KIND, NAME, PARENT, ROOT, Choice, choice_of_kinds
from sessions.models import Event
from sessions.models.ledger import (
    ACCESS_KEY_ID,
    BY_A_PERSON,
    MINTED,
    ORIGIN_ADDRESS,
    PARENT_KEY_ID,
    ROLE_SESSION_NAME,
    ROOT_ID,
    SOURCE_IDENTITY,
    WITH_A_KEY,
)


def narrowed(lines: QuerySet[Event], wanted: tuple[Choice, ...]) -> list[QuerySet[Event]]:
    """Leave out most lines that lack a term of one of these choices.

    Each query that is returned has an index for it, where it can; a line may be in several.
    """
    for each in wanted:
        lines = _mentioning(lines, each)
    return next(filter(None, (_by_index(lines, each, wanted) for each in wanted)), [lines])


def _mentioning(lines: QuerySet[Event], wanted: Choice) -> QuerySet[Event]:
    """Leave out most lines that have none of these terms, where there is no index of terms."""
    said: Any = Cast("data", TextField())
    mention = Q()
    for each in wanted:
        letter, _, value = each.partition("|")
        if letter == KIND:
            mention |= Q(kind__startswith=value)
        else:
            mention |= Q(actor=value) | Q(session_id=value) | Q(session_alias=value)
            mention |= Q(said__contains=json.dumps(value)[1:-1])
    return lines.annotate(said=said).filter(mention)


def _by_index(
    lines: QuerySet[Event], choice: Choice, wanted: tuple[Choice, ...]
) -> list[QuerySet[Event]]:
    """Find lines by SQLite's indexes of single values; no query where they lack some."""
    kinds = next((each for each in wanted if _letters(each) == {KIND}), None)
    indexed = _INDEXED.get("".join(_letters(choice)))
    if indexed is None or (indexed.kinds and not (kinds and kinds <= indexed.kinds)):
        return []
    # One value each: of alternatives the planner walks along the numbers instead.
    return [
        lines.filter(indexed.condition).alias(by=column).filter(by=one.partition("|")[2])
        for one in choice
        for column in indexed.columns
    ]


def _letters(choice: Choice) -> set[str]:
    return {each.partition("|")[0] for each in choice}


@dataclass(frozen=True)
class _Indexed:
    """Describe SQLite's indexes of one place: the columns, and of which kinds they have lines."""

    kinds: Choice | None
    condition: Q
    columns: tuple[JsonText, ...]


_MINTED = choice_of_kinds("credential.minted")
_INDEXED = {
    KEY: _Indexed(
        choice_of_kinds("credential.minted", "credential.revealed", "root.opened"),
        WITH_A_KEY,
        (ACCESS_KEY_ID,),
    ),
    PARENT: _Indexed(_MINTED, MINTED, (PARENT_KEY_ID,)),
    NAME: _Indexed(_MINTED, MINTED, (ROLE_SESSION_NAME, SOURCE_IDENTITY)),
    # No other kind has a root.
    ROOT: _Indexed(None, MINTED, (ROOT_ID,)),
    # A worker's lines have no address.
    ADDRESS: _Indexed(None, BY_A_PERSON, (ORIGIN_ADDRESS,)),
}
