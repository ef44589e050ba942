"""Define the root kinds, where chains begin: one file each, found by being in this folder.

A root gives its credentials and nothing else; the chain is walked in one place, elsewhere. What a
kind declares here becomes its form, its label and its page: a new kind needs no migration, form,
template or URL.

What a kind may need of a person, and how its caller (the worker) goes about it:

    challenges(settings) what a person has to give, if anything. For each `Challenge` either
      a code             the person types it; it is passed on in `answers` once, and is then worth
                         nothing
      an approval        begin() gives a page to open; advance() finds out, again and again, whether
                         it is approved. What the kind has to remember meanwhile and afterwards is
                         its *state*, one sealed text. advance() brings it up to date and returns
                         the one to keep: store it before it is used. choices() reads from AWS what
                         can be picked once it is approved.
    get_credentials()    with the answers at hand, by the names of the challenges (an approval's
                         answer is its state): the credentials. This verb alone gives any.

No method keeps anything in the kind, and each raises only `AwsError`, with hop 0.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import WaitingForPerson
from sessions.secret import Secret


@dataclass(frozen=True)
class Choice:
    """Hold one value of a field that is picked from a list, and how a person reads it."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """Declare one setting of a kind.

    A secret one is write-only and sealed; `validate` returns the text or raises ValueError.

    `options` are the only values there are, known without AWS. A `from_list` one is listed by the
    kind's `choices`, which needs an approval first: it is empty until then, and typing it is as
    good.
    """

    name: str
    label: str
    help: str
    secret: bool = False
    required: bool = True
    validate: Callable[[str], str] | None = None
    options: Callable[[], tuple[Choice, ...]] | None = None
    from_list: bool = False


@dataclass(frozen=True)
class Challenge:
    """Declare what a person has to give first: a code to type, or an approval in a browser.

    `validate` is a code's: it returns the text or raises ValueError, with a message that does not
    repeat it.
    """

    name: str
    label: str
    help: str
    approval: bool = False
    validate: Callable[[str], str] | None = None


@dataclass(frozen=True)
class ApprovalPage:
    """Hold the page to approve on, its code, and until when (aware, UTC).

    Neither is a secret; the state is.
    """

    url: str
    user_code: str
    expires_at: datetime
    interval_seconds: int
    state: Secret


@dataclass(frozen=True)
class ApprovalStatus:
    """Hold an approval's new state and what still stands in the way, if anything.

    `ask_again_seconds` is how long to wait before the next `advance`; None means that waiting alone
    changes nothing: either it is approved (no problem), or it has to begin again. Until
    `good_until` (aware, UTC) the state is good for credentials as it is; after that it is advanced
    again before it is used.
    """

    state: Secret
    problem: WaitingForPerson | None = None
    ask_again_seconds: int | None = None
    good_until: datetime | None = None


class RootKind(ABC):
    """Define the contract of a root kind; an instance holds no state of any one root."""

    kind: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    # A lucide icon's name.
    icon: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]] = ()
    # Each person gets root credentials of their own, under their own name.
    per_person: ClassVar[bool] = False
    # It belongs to the installation, so the operator has to allow it per team.
    needs_operator: ClassVar[bool] = False
    # Root credentials come of a file on the worker's machine: see `written_at`.
    reads_a_file: ClassVar[bool] = False
    # The settings that say who the root is at AWS: where one changes, whoever assumes from it would
    # become somebody else.
    identity_settings: ClassVar[tuple[str, ...]] = ()
    # (the setting that is the id of an IAM user's long-lived key, the secret that belongs to it):
    # it can be rotated in place.
    long_lived_key: ClassVar[tuple[str, str] | None] = None

    def challenges(self, settings: Mapping[str, str]) -> tuple[Challenge, ...]:
        """Return what a person must provide for a root with these settings."""
        return ()

    def code_challenges(self, settings: Mapping[str, str]) -> list[Challenge]:
        """Return the challenges that a person answers with a typed code."""
        return [each for each in self.challenges(settings) if not each.approval]

    def caches_credentials(self, settings: Mapping[str, str]) -> bool:
        """Tell whether credentials cost a person's answer or a call.

        The caller then caches them, sealed, until they end; otherwise it calls `get_credentials`
        each time.
        """
        return bool(self.challenges(settings))

    def asks_sts(self, settings: Mapping[str, str]) -> bool:
        """Tell whether root credentials come from a call to STS.

        Another region can then give them as well.
        """
        return self.caches_credentials(settings)

    def account(self, settings: Mapping[str, str]) -> str:
        """Name the account of the root credentials, as far as the settings alone tell it."""
        return ""

    def identity(self, settings: Mapping[str, str]) -> str:
        """Name the root's identity as far as its settings tell it.

        Two roots with the same text are the same at AWS.

        A role is named by its `role_key`. Empty: the settings do not tell.
        """
        values = [settings.get(name, "") for name in self.identity_settings]
        return " ".join([self.kind, *values]) if values and all(values) else ""

    def written_at(self, settings: Mapping[str, str]) -> datetime | None:
        """Return when the file that holds the root credentials was last written.

        By this machine; None if it is not there.
        """
        return None

    def approval_scope(self, settings: Mapping[str, str]) -> str:
        """Name what an approval is good for.

        Roots of this kind (and person) with the same text here share it.

        Empty: it is this one root's. Editing a setting that is not in it does not ask for another
        approval.
        """
        return ""

    def begin(self, settings: Mapping[str, str], state: Secret | None, region: str) -> ApprovalPage:
        """Ask AWS for a page where a person can approve.

        `state` is what was kept before; what works of it goes on working.
        """
        raise NotImplementedError(f"{self.label} asks for no approval.")

    def advance(self, settings: Mapping[str, str], state: Secret, region: str) -> ApprovalStatus:
        """Read an approval that a person has given meanwhile, and renew what has expired.

        Raises `AwsError` where AWS could not say; the state is unchanged then.
        """
        raise NotImplementedError(f"{self.label} asks for no approval.")

    def choices(
        self, name: str, settings: Mapping[str, str], state: Secret, region: str
    ) -> tuple[Choice, ...]:
        """Return the choices for a picked field.

        AWS lists them for the person who approved.

        `settings` may lack this field and those after it, and holds those before it.
        """
        raise NotImplementedError(f"{self.label} lists nothing.")

    @abstractmethod
    def get_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """Return the credentials that the first hop is assumed from.

        `answers` are by the names of `challenges`; `region` is where STS is called: the root's STS
        region, or one that stands in for it. Raises `AwsError` with hop 0: `WaitingForPerson` when
        an answer is missing.
        """

    def summary(self, settings: Mapping[str, str]) -> str:
        """Return a short text that tells roots of this kind apart in lists.

        It holds nothing secret.
        """
        return ""


ROOT_KINDS: dict[str, RootKind] = {}


def register(kind: RootKind) -> None:
    """Register a kind; one that is already taken is refused."""
    if kind.kind in ROOT_KINDS:
        raise ValueError(
            f"The root kind {kind.kind!r} is already taken by"
            f" {type(ROOT_KINDS[kind.kind]).__name__}."
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
