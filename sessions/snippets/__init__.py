"""Render credentials in the form that a shell, a file or a tool reads, one file per format.

A format is a function from a `Snippet` to text, not a template: escaping for HTML is wrong for
shells. What a format declares here becomes its tab, its download and its API answer: a new format
needs no other change.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sessions.aws.credentials import AwsCredentials


class Group(StrEnum):
    """List the groups that the pages sort formats into, in their order."""

    REFRESHING = "Self-refreshing"
    SHELL = "Shell"
    FILES = "Files"
    INFRASTRUCTURE = "Infrastructure"
    CODE = "Code"
    RECIPES = "Recipes"


class System(StrEnum):
    """List the operating systems of the people who paste."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


@dataclass(frozen=True)
class ChainStep:
    """Hold what the AWS tools' own config file can say of one session of a chain.

    The root, which is first, has no role. `not_carried` names what the file cannot say of the hop.
    """

    profile: str
    region: str
    role_arn: str = ""
    role_session_name: str = ""
    external_id: str = ""
    mfa_serial: str = ""
    not_carried: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snippet:
    """Hold all that a format may use.

    `credentials` is None for the formats that hold none. `endpoint_url` is where the simulated AWS
    listens, and "" for real AWS. `credentials_url` is the full URL of `GET
    /api/v1/sessions/<id>/credentials?format=process`. `account` is the 12 digits of the identity's
    account, and "" where it is not known. `good_until` is when the credentials of now end, for a
    format that holds some or `needs_end`. `chain`, root first, is there for one that `needs_chain`.
    """

    credentials: AwsCredentials | None
    profile: str
    region: str
    endpoint_url: str
    credentials_url: str
    account: str = ""
    good_until: datetime | None = None
    chain: tuple[ChainStep, ...] = ()
    # The full URL of `GET /container/<id>`, and the slug of the session's team.
    container_url: str = ""
    team: str = ""


@dataclass(frozen=True)
class SnippetFormat:
    """Declare one format.

    `secret` says whether its text holds credentials; `filename` is the name of the download, and
    `place` where that file belongs: a path as sh reads it. `systems` are those it is for, the one
    it is most at home on first. `undo` writes the text that takes all of it back.

    `render` raises ValueError, without the value in its message, for a value that the format cannot
    carry safely.
    """

    key: str
    label: str
    filename: str
    language: str
    secret: bool
    help: str
    render: Callable[[Snippet], str]
    # Where it stands among those of its group; lower comes first.
    order: int = 100
    group: Group = Group.FILES
    systems: tuple[System, ...] = tuple(System)
    place: str = ""
    undo: Callable[[Snippet], str] | None = None
    needs_chain: bool = False
    needs_end: bool = False

    @property
    def has_undo(self) -> bool:
        return self.undo is not None

    @property
    def install_line(self) -> str:
        """Return the command that puts the download into its place, for its owner alone."""
        if not self.place:
            return ""
        folder = self.place.rpartition("/")[0]
        made = f"mkdir -p {folder} && " if folder else ""
        download = f"~/Downloads/{self.filename}"
        return f"{made}install -m 600 {download} {self.place} && rm {download}"


# By key, in the order of the pages.
FORMATS: dict[str, SnippetFormat] = {}


def register(snippet_format: SnippetFormat) -> None:
    """Register a format; a key that is already taken is refused."""
    if snippet_format.key in FORMATS:
        raise ValueError(
            f"The snippet format {snippet_format.key!r} is already taken by"
            f" {FORMATS[snippet_format.key].label!r}."
        )
    FORMATS[snippet_format.key] = snippet_format


def _place_on_the_pages(each: SnippetFormat) -> tuple[int, int, str]:
    return list(Group).index(each.group), each.order, each.key


def _find_all() -> None:
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    ordered = sorted(FORMATS.values(), key=_place_on_the_pages)
    FORMATS.clear()
    FORMATS.update({each.key: each for each in ordered})


_find_all()
