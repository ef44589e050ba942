"""Offer legal names where a file has others, each once."""

import re
import unicodedata

from sessions.aws.characters import trimmed, unseen_in
from sessions.aws.names import LONGEST_PROFILE

LONGEST_ALIAS = 64

_OUTSIDE = re.compile(r"[^A-Za-z0-9_/.%@:+-]+", re.ASCII)


def legal_profile(name: str) -> str:
    """Return a profile's name with what no AWS SDK reads replaced by "-"."""
    apart = unicodedata.normalize("NFKD", name)
    plain = "".join(each for each in apart if not unicodedata.combining(each))
    text = _OUTSIDE.sub("-", plain)
    if text != name:
        text = text.strip("-") or "profile"
    if text == "DEFAULT":
        text = "default-2"
    return text[:LONGEST_PROFILE]


def legal_alias(name: str) -> str:
    """Return a name as an alias can have it: one line, no unseen character, not too long."""
    text = trimmed(unicodedata.normalize("NFC", name))
    if unseen_in(text):
        text = trimmed("".join("-" if unseen_in(each) else each for each in text))
    return trimmed(text[:LONGEST_ALIAS]) or "session"


class Names:
    """Give names away, none twice; upper and lower case are the same."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, or the first free one made of it with a number."""
        base, number = name, self._next.get(name.lower(), 2)
        while name.lower() in self._taken:
            name = f"{base[: self.longest - len(str(number)) - 1]}-{number}"
            number += 1
        self._next[base.lower()] = number
        self._taken.add(name.lower())
        return name
