"""The root kinds: where a chain begins. One file each, found by being in this folder.

A root gives base credentials and nothing else; the chain is walked in one place, elsewhere. What a kind declares here
becomes its form, its label and its page: a new kind needs no migration, form, template or URL.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from sessions.aws.credentials import AwsCredentials
from sessions.secret import Secret


@dataclass(frozen=True)
class Field:
    """One setting of a kind. A secret one is write-only and sealed; `validate` returns the text or raises ValueError."""

    name: str
    label: str
    help: str
    secret: bool = False
    required: bool = True
    validate: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Ask:
    """Something a person has to give each time base credentials are made: a code, an approval."""

    name: str
    label: str
    help: str


class RootKind(ABC):
    """The contract of a root kind. An instance holds no state of any one root."""

    kind: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    # A lucide icon's name.
    icon: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]] = ()
    # Each person gets base credentials of their own, under their own name.
    per_person: ClassVar[bool] = False
    # It belongs to the installation, so the operator has to allow it per team.
    needs_operator: ClassVar[bool] = False

    def asks(self, settings: Mapping[str, str]) -> tuple[Ask, ...]:
        """What a person must provide, for a root with these settings."""
        return ()

    @abstractmethod
    def base_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """The credentials that the first hop is assumed from.

        `answers` are by the names of `asks`. Raises `AwsError` with hop 0: `WaitingForPerson` when an answer is missing.
        """

    def summary(self, settings: Mapping[str, str]) -> str:
        """A few characters that tell one root of this kind from another, for the list; nothing secret."""
        return ""


ROOT_KINDS: dict[str, RootKind] = {}


def register(kind: RootKind) -> None:
    """Makes a kind known. A kind that is already taken is refused."""
    if kind.kind in ROOT_KINDS:
        raise ValueError(
            f"The root kind {kind.kind!r} is already taken by {type(ROOT_KINDS[kind.kind]).__name__}."
        )
    ROOT_KINDS[kind.kind] = kind


def _find_all() -> None:
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    # In the order of the pages: what a team can make by itself comes first.
    ordered = sorted(ROOT_KINDS.values(), key=lambda kind: (kind.needs_operator, kind.label))
    ROOT_KINDS.clear()
    ROOT_KINDS.update({kind.kind: kind for kind in ordered})


_find_all()
