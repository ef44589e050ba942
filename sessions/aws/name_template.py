"""Parse and fill in a role session name's template: {username}, {alias} and {team} among text."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sessions.aws.characters import shown
from sessions.aws.names import (
    LONGEST_SESSION_NAME,
    InvalidName,
    validate_characters,
    validate_role_session_name,
)
from sessions.aws.readable import HASH_DIGITS, NAME_CHARACTER, alone, hash_of

PLACEHOLDERS = ("username", "alias", "team")

_PIECE = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])", re.ASCII)
_LEGAL = re.compile(r"[A-Za-z0-9_+=,.@-]+", re.ASCII)
# Matches a name that was too long, or too short, and ends in a hash. An alias can be typed that
# looks like it: that gets a hash of its own, so that nobody can type what another alias becomes.
_SHORTENED = re.compile(
    rf".?(?:-[0-9a-f]{{{HASH_DIGITS}}})+"
    rf"|.{{{LONGEST_SESSION_NAME - 1 - HASH_DIGITS}}}-[0-9a-f]{{{HASH_DIGITS}}}",
    re.ASCII,
)


class Piece(NamedTuple):
    """Hold one piece of a template: a placeholder's name, or text that stands for itself."""

    placeholder: str
    text: str

    @property
    def is_person(self) -> bool:
        return self.placeholder == "username"


@dataclass(frozen=True)
class NameTemplate:
    """Hold the template of a role session name.

    Any text can be held, since links of before the rules are stored; `check` tells if it is right.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Return the pieces in order; a brace that stands alone counts as text."""
        return _pieces_of(self.text)

    @property
    def names_a_person(self) -> bool:
        """Tell if {username} is in the template."""
        return any(piece.is_person for piece in self.pieces)

    @property
    def has_alias(self) -> bool:
        """Tell if {alias} is in the template."""
        return any(piece.placeholder == "alias" for piece in self.pieces)

    def check(self) -> "NameTemplate":
        """Return the template if it can become a name. Raises `InvalidName`."""
        _check(self.text)
        return self

    def render(self, values: Mapping[str, str]) -> str:
        """Fill in all placeholders.

        The result is a legal role session name, and never the same for two aliases.

        What is not legal in a value is spelt out and marked (see `readable.alone`). What is too
        long is shortened, {username} last of all, and ends in a hash of the whole, so that two
        names with the same beginning stay two names. Raises `InvalidName` for a template that
        `check` refuses, or if a value is missing.
        """
        self.check()
        for piece in self.pieces:
            if piece.placeholder and piece.placeholder not in values:
                raise InvalidName(f"Nothing is known for {{{piece.placeholder}}}.")
        parts = [_part(piece, values) for piece in self.pieces]
        rendered = "".join(parts)
        fits = 2 <= len(rendered) <= LONGEST_SESSION_NAME
        if not fits or (self.has_alias and _SHORTENED.fullmatch(rendered)):
            whole = [values[name] if name else text for name, text in self.pieces]
            rendered = f"{self._fit(parts)}-{hash_of(json.dumps([self.text, *whole]))}"
        return validate_role_session_name(rendered)

    def fill(self, alias: str, team: str) -> "NameTemplate":
        """Fill in {alias} and {team}, and leave {username} for `with_handle` and `matches`.

        A name without a person is rendered. Raises `InvalidName` for a template that `check`
        refuses.
        """
        values = {"alias": alias, "team": team}
        if not self.names_a_person:
            return NameTemplate(self.render(values))
        self.check()
        parts = ("{username}" if each.is_person else _part(each, values) for each in self.pieces)
        return NameTemplate("".join(parts))

    def with_handle(self, handle: str) -> str:
        """Return a filled template's name for that handle, whole.

        A name that has to be shortened is longer than any handle, so only whole ones are compared
        with handles.
        """
        return "".join(handle if piece.is_person else piece.text for piece in self.pieces)

    def matches(self, name: str) -> str:
        """Return the handle that a filled template makes that name of; empty if there is none.

        Upper and lower case are the same.
        """
        places = sum(piece.is_person for piece in self.pieces)
        length, rest = divmod(len(name) - len(self.with_handle("")), places) if places else (0, 0)
        if length < 1 or rest:
            return ""
        start = 0 if self.pieces[0].is_person else len(self.pieces[0].text)
        handle = name[start : start + length]
        return handle if self.with_handle(handle).lower() == name.lower() else ""

    def _fit(self, parts: list[str]) -> str:
        """Shorten the parts until a hash fits behind them: the longest first, the person last."""
        kept = list(parts)
        excess = max(len("".join(kept)) + 1 + HASH_DIGITS - LONGEST_SESSION_NAME, 0)
        order = sorted(
            range(len(kept)), key=lambda at: (self.pieces[at].is_person, -len(parts[at]))
        )
        for at in order:
            cut = min(excess, len(kept[at]))
            kept[at], excess = kept[at][: len(kept[at]) - cut], excess - cut
        return "".join(kept)


def validate_name_template(text: str) -> str:
    """Return a template that can become a role session name. Raises `InvalidName`."""
    return NameTemplate(text).check().text


def _part(piece: Piece, values: Mapping[str, str]) -> str:
    """Make a part of a name. Handles and teams are legal already, and unique as they are."""
    text = values[piece.placeholder] if piece.placeholder else piece.text
    return text if piece.placeholder != "alias" and _LEGAL.fullmatch(text) else alone(text)


# A team's sessions mostly share a few templates, so the parsed ones are kept.
@lru_cache(maxsize=1024)
def _pieces_of(text: str) -> tuple[Piece, ...]:
    """Parse a template. An empty pair of braces is text as well: there is no such placeholder."""
    return tuple(
        Piece(name, characters or brace or ("" if name else "{}"))
        for name, characters, brace in _PIECE.findall(text)
    )


@lru_cache(maxsize=1024)
def _check(text: str) -> None:
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    pieces = _pieces_of(text)
    for name, characters in pieces:
        if (name and name not in PLACEHOLDERS) or characters == "{}":
            raise InvalidName(f"There is no {shown(f'{{{name}}}')}; the placeholders are {known}.")
        if characters in ("{", "}"):
            raise InvalidName(f"A “{characters}” has no partner; the placeholders are {known}.")
    validate_characters(
        "".join(piece.text for piece in pieces),
        "A role session name",
        0 if any(piece.placeholder for piece in pieces) else 2,
        LONGEST_SESSION_NAME,
        NAME_CHARACTER,
        "_ + = , . @ - (and {…})",
    )
