"""Declare parameters of an AssumeRole call, once each.

How one is typed, checked, stored, sent and shown derives from its declaration.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Self


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kind:
    """Define a kind of value: as Python holds it, as JSON stores it, as form and API show it."""

    name: str
    empty: Any
    schema: Mapping[str, Any]
    to_json: Callable[[Any], Any] = _as_it_is
    from_json: Callable[[Any], Any] = _as_it_is
    typed: Callable[[Any], Any] = _as_it_is
    # The texts that a page shows of it.
    texts: Callable[[Any], tuple[str, ...]] = lambda value: (str(value),)


_TEXTS = {"type": "array", "items": {"type": "string"}}
TEXT = Kind("text", "", {"type": "string"})
DOCUMENT = Kind("document", "", {"type": "string"})
SWITCH = Kind("switch", False, {"type": "boolean"}, texts=lambda on: ("yes" if on else "no",))
LINES = Kind("lines", (), _TEXTS, list, tuple, list, tuple)
# Some of the keys of the tags.
TAG_KEYS = Kind("tag keys", (), _TEXTS, list, tuple, list, tuple)
TAGS = Kind(
    "tags",
    (),
    {"type": "object", "additionalProperties": {"type": "string"}},
    to_json=lambda tags: [list(tag) for tag in tags],
    from_json=lambda stored: tuple((key, value) for key, value in stored),
    typed=dict,
    texts=lambda tags: tuple(f"{key}={value}" for key, value in tags),
)


@dataclass(frozen=True)
class Parameter:
    """Declare one parameter.

    `help` has at most eight words; `more` stands behind a "?" beside it.

    `check` returns the value, or raises ValueError with a message for the person who typed it.
    `sent_as` is its name in STS's request, empty for what is not sent, and `sent` turns the value
    into STS's own form. `is_set`: its order makes no difference to AWS.
    """

    kind: Kind
    label: str
    help: str = ""
    more: str = ""
    check: Callable[[Any], Any] | None = None
    required: bool = False
    longest: int | None = None
    sent_as: str = ""
    sent: Callable[[Any], Any] = _as_it_is
    is_set: bool = False


def parameter(kind: Kind, label: str, **declared: Any) -> Any:
    """Declare a field of a `Declared` dataclass; it is empty unless it is given."""
    return field(default=kind.empty, metadata={"parameter": Parameter(kind, label, **declared)})


def parameters_of(declared: "type[Declared]") -> Mapping[str, Parameter]:
    """Return {name: parameter} of a dataclass, in the order of its fields."""
    return _parameters_of(declared)  # type: ignore[arg-type]  # mypy: a dataclass has no hash


@cache
def _parameters_of(declared: "type[Declared]") -> Mapping[str, Parameter]:
    return {each.name: each.metadata["parameter"] for each in fields(declared)}


@dataclass(frozen=True)
class Declared:
    """Extend dataclasses all of whose fields are parameters."""

    def values(self) -> dict[str, Any]:
        """Return {name: value}, as Python holds them."""
        return {name: getattr(self, name) for name in parameters_of(type(self))}

    def stored(self) -> dict[str, Any]:
        """Return {name: value} as JSON stores it, the empty ones included."""
        return {
            name: each.kind.to_json(getattr(self, name))
            for name, each in parameters_of(type(self)).items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain strings and lists, without what is empty."""
        return {name: value for name, value in self.stored().items() if value}

    def typed(self) -> dict[str, Any]:
        """Return {name: value} as form and API show it."""
        return {
            name: each.kind.typed(getattr(self, name))
            for name, each in parameters_of(type(self)).items()
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `stored` or `to_json` said that of."""
        kinds = parameters_of(cls)
        return cls(
            **{
                name: kinds[name].kind.from_json(value) if name in kinds else value
                for name, value in stored.items()
            }
        )
