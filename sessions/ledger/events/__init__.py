"""List the kinds of events: a class for each, with its tag, its typed fields and its words.

A kind is declared once, in the module of its subject in this folder, and is found by being there.
Its tag and the keys of its fields are in hash-chained lines, so neither ever changes its meaning: a
kind that has to say something else gets a new tag, or a new field with a default.

    SessionStarted(ends_at=…, again=False, credential=…).as_data()  what a line stores
    read(line.kind, line.data)                                     the same object, years later

A field without a default is always stored. One with a default is left out while it has it, so a new
field leaves the lines of before as they were. No field is a secret: `as_data` refuses one.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform, get_args, get_type_hints

from sessions.ledger import origin

_KEY, _REST = "key", "rest"


def stored_as(key: str, *, default: Any = MISSING) -> Any:
    """Declare a field by another key than its name, such as one that is a word of Python."""
    return field(default=default, metadata={_KEY: key})


def beside() -> Any:
    """Declare a mapping whose items are stored beside the other fields."""
    return field(metadata={_REST: True})


@dataclass(frozen=True, kw_only=True)
class EventData:
    """Hold what one event says besides its time, actor and session. Subclasses are the kinds.

    `label` names the kind in lists. It and `summary()` follow the glossary in docs/architecture.md.
    """

    tag: ClassVar[str]
    label: ClassVar[str]

    def summary(self) -> str:
        """Say what happened, as the words after the actor's name: “ada *created the group ops*”."""
        raise NotImplementedError

    def concerns(self, username: str) -> bool:
        """Tell whether it is also that person's, whoever acted."""
        return False

    def as_data(self) -> dict[str, Any]:
        """Return it as a line stores it: text, whole numbers, truth values, lists and objects."""
        return _written(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read a line's data back. A field that an older line has not got is empty."""
        return _read(cls, data)


@dataclass(frozen=True, kw_only=True)
class Unknown(EventData):
    """Stand for a line of a kind that this version does not know, as after a step back."""

    tag = ""
    label = "unknown event"

    kind: str
    data: Mapping[str, Any]

    def summary(self) -> str:
        return f"did something that this version does not know: {self.kind}"


Kind = TypeVar("Kind", bound=type[Any])


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(stored_as, beside)
)
def shared(kind: Kind) -> Kind:
    """Make a class a frozen dataclass of fields that several kinds share, or store together."""
    dataclass(frozen=True, kw_only=True)(kind)
    return kind


@shared
class ForPeople(EventData):
    """Hold for whom a worker acted: these people see the event as theirs."""

    people: tuple[str, ...] = stored_as("for")

    def concerns(self, username: str) -> bool:
        return username in self.people

    def for_people(self) -> str:
        """Name the people after a verb; empty for nobody."""
        return f" for {', '.join(self.people)}" if self.people else ""


@shared
class Changing(EventData):
    """Hold of the fields that an event changed what they were; None where nobody knows."""

    before: Mapping[str, Any] | None = None

    def from_what_was(self, was: Mapping[str, Any]) -> Self:
        """Return the event with what it changed, from the fields as they were.

        A field that is not among its own was there before and is no longer.
        """
        now = self.as_data()
        changed = {
            key: value
            for key, value in was.items()
            if value != now.get(key) and (value or now.get(key))  # empty is as good as absent
        }
        return replace(self, before=changed)


@shared
class Part:
    """Hold fields that are stored together, as an object inside an event's data."""

    def as_data(self) -> dict[str, Any]:
        """Return it as a line stores it."""
        return _written(self)


# By tag.
KINDS: dict[str, type[EventData]] = {}


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(stored_as, beside)
)
def event(kind: Kind) -> Kind:
    """Make a class a frozen dataclass and a kind of event. A tag that is taken is refused."""
    shared(kind)
    if any(column.key == origin.KEY for column in _columns(kind)):
        raise ValueError(f"A line's {origin.KEY!r} is from where it was asked for.")
    if kind.tag in KINDS:
        raise ValueError(f"The tag {kind.tag!r} is already taken by {KINDS[kind.tag].__name__}.")
    KINDS[kind.tag] = kind
    return kind


def keys_of(kind: type[EventData]) -> list[str]:
    """List the keys that a line of that kind may have; “…” last where they are not all declared."""
    columns = _columns(kind)
    rest = ["…"] if any(column.is_rest for column in columns) else []
    return [column.key for column in columns if not column.is_rest] + rest


def is_kind(kind: type[EventData]) -> bool:
    """Tell whether a class is registered: only such events are written."""
    return KINDS.get(getattr(kind, "tag", "")) is kind


def read(tag: str, data: Mapping[str, Any]) -> EventData:
    """Read a line's data as its kind, or as `Unknown`."""
    kind = KINDS.get(str(tag))
    return kind.read(data) if kind else Unknown(kind=str(tag), data=data)


def moment(at: datetime | None) -> str:
    """Write a time as people read it in a summary."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "an unknown time"


def as_stored(at: datetime) -> str:
    """Write a time as lines store it: of one length, so that later ones are greater as texts."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


# --- fields to JSON and back ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """Hold how one field is stored. `is_rest`: a mapping whose items stand beside the fields."""

    name: str
    key: str
    default: Any
    is_rest: bool
    take: Callable[[Any], Any]


_known: dict[type[Any], tuple[_Column, ...]] = {}


def _columns(kind: type[Any]) -> tuple[_Column, ...]:
    """Return how the fields of a class are stored; worked out once."""
    if kind not in _known:
        hints = get_type_hints(kind)
        _known[kind] = tuple(_column(each, hints[each.name]) for each in fields(kind))
    return _known[kind]


def _column(declared: Field[Any], hint: Any) -> _Column:
    """Read a field's declaration; its type is one that a line can hold."""
    options = [each for each in get_args(hint) if each is not NoneType]
    optional = isinstance(hint, UnionType)
    kind = options[0] if optional else hint
    return _Column(
        declared.name,
        declared.metadata.get(_KEY, declared.name),
        declared.default,
        bool(declared.metadata.get(_REST)),
        _taking(getattr(kind, "__origin__", kind), optional),
    )


def _taking(kind: type[Any], optional: bool) -> Callable[[Any], Any]:
    """Return what turns a stored value into one of a field's type: of any other, an empty one."""
    if kind is datetime:
        return _time
    if kind is tuple:
        empty = None if optional else ()
        return lambda value: _texts(value) if isinstance(value, list) else empty
    if kind in (str, int, bool):
        nothing = None if optional else kind()
        return lambda value: value if isinstance(value, kind) else nothing
    if kind is Mapping:
        return lambda value: value if isinstance(value, dict) else None if optional else {}
    if issubclass(kind, Part):
        return lambda value: _read(kind, value if isinstance(value, dict) else {})
    raise TypeError(f"No line can hold a field of the type {kind.__name__}.")


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _texts(value: list[Any]) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str))


# Most values, and so not worth a match.
_AS_IS = frozenset({str, int, bool, NoneType})


def _written(said: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for column in _columns(type(said)):
        value = getattr(said, column.name)
        if column.is_rest:
            data = _plain(value) | data
        elif column.default is MISSING or value != column.default:
            data[column.key] = value if type(value) in _AS_IS else _plain(value)
    return data


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; TypeError for what no event may hold, as a secret."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return str(value)  # of an enum, its value
        case datetime():
            return as_stored(value)
        case list() | tuple():
            return [_plain(each) for each in value]
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case Part():
            return _written(value)
    raise TypeError(f"An event holds no {type(value).__name__}.")


Said = TypeVar("Said")


def _read(kind: type[Said], data: Mapping[str, Any]) -> Said:
    values: dict[str, Any] = {}
    columns = _columns(kind)
    for column in columns:
        if column.is_rest:
            known = {each.key for each in columns if not each.is_rest} | {origin.KEY}
            values[column.name] = {key: each for key, each in data.items() if key not in known}
        elif column.key in data or column.default is MISSING:
            values[column.name] = column.take(data.get(column.key))
    return kind(**values)


def _find_all() -> None:
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")


_find_all()
