"""Render credentials in the form that a shell, a file or a tool reads, one file per format.

A format is a function from a `Snippet` to text, not a template: escaping for HTML is wrong for
shells. What a format declares here becomes its tab, its download and its API answer: a new format
needs no other change.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from sessions.aws.credentials import AwsCredentials


@dataclass(frozen=True)
class Snippet:
    """Hold all that a format may use.

    `credentials` is None for the formats that hold none. `endpoint_url` is where the simulated AWS
    listens, and "" for real AWS. `credentials_url` is the full URL of `GET
    /api/v1/sessions/<id>/credentials?format=process`.
    """

    credentials: AwsCredentials | None
    profile: str
    region: str
    endpoint_url: str
    credentials_url: str


@dataclass(frozen=True)
class SnippetFormat:
    """Declare one format.

    `secret` says whether its text holds credentials; `filename` is the name of the download.

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
    # Where it stands among the others; lower comes first.
    order: int = 100


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


def _find_all() -> None:
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    ordered = sorted(FORMATS.values(), key=lambda each: (each.order, each.key))
    FORMATS.clear()
    FORMATS.update({each.key: each for each in ordered})


_find_all()
