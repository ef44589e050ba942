"""Say what a file changes, for people and for programs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Made(StrEnum):
    """Say what becomes of something."""

    CREATED = "create"
    CHANGED = "change"
    DELETED = "delete"


MARKS = {Made.CREATED: "+", Made.CHANGED: "~", Made.DELETED: "-"}


@dataclass(frozen=True)
class Change:
    """Hold one change: of a session, its access, or a group.

    `fields` has what each was and becomes; secrets are in it by name alone.
    """

    made: Made
    what: str
    name: str
    fields: Mapping[str, tuple[Any, Any]]

    def to_json(self) -> dict[str, Any]:
        fields = {name: {"before": was, "after": now} for name, (was, now) in self.fields.items()}
        return {"action": str(self.made), "what": self.what, "name": self.name, "fields": fields}

    def lines(self) -> Iterator[str]:
        """Write it as a person reads it."""
        of = "access of " if self.what == "access" else "group " if self.what == "group" else ""
        yield f"{MARKS[self.made]} {of}“{self.name}”"
        if self.made is Made.DELETED:
            return
        for name, (was, now) in self.fields.items():
            if self.made is Made.CREATED:
                yield f"    {name}: {_text(now)}"
            else:
                yield f"    {name}: {_text(was)} → {_text(now)}"


@dataclass(frozen=True)
class Result:
    """Hold what a file changes, or has changed, in the order of the changes."""

    changes: tuple[Change, ...]
    unchanged: int
    applied: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "applied": self.applied,
            "unchanged": self.unchanged,
            "changes": [each.to_json() for each in self.changes],
        }

    def lines(self) -> Iterator[str]:
        """Write the changes as a person reads them, and how many they are."""
        for change in self.changes:
            yield from change.lines()
        counts = {made: sum(each.made is made for each in self.changes) for made in Made}
        said = ", ".join(f"{count} to {made}" for made, count in counts.items() if count)
        yield f"{said or 'Nothing to change'}; {self.unchanged} unchanged."


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs, in the order of what is now; nothing and an empty text are the same."""
    names = [*now, *(name for name in was if name not in now)]
    pairs = {name: (was.get(name), now.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if plain(pair[0]) != plain(pair[1])}


def plain(value: Any) -> Any:
    """Make values comparable: whatever is empty is None, ids are text, tuples are lists."""
    if value in (None, "", (), [], {}, False):
        return None
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value if isinstance(value, str | int | dict) else str(value)


def _text(value: Any) -> str:
    match value:
        case None | "" | [] | () | {}:
            return "(none)"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name}={each}" for name, each in value.items())
        case _:
            return str(value)
