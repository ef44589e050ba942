"""Check values before a snippet may carry them.

A value that comes back from an STS endpoint is as hostile as a typed one. Quoting alone is not
trusted: what no AWS value has (a line break, a control character, a letter beyond ASCII, which some
shells and code pages read as a quote) is refused. Every check of a snippet runs before its first
secret is opened, so that no frame of a traceback holds an opened one.
"""

import re
from datetime import UTC, datetime

from sessions.aws.credentials import AwsCredentials
from sessions.aws.names import validate_profile
from sessions.secret import Secret
from sessions.snippets import Snippet

# For shells and JSON, which quote: printable ASCII, the blank included.
PRINTABLE = re.compile(r"[ -~]+", re.ASCII)
# For what quotes nothing, or what each reader quotes its own way: means nothing to any shell, to
# cmd, to a dotenv loader or a template. All that AWS puts into keys and tokens is among it.
PLAIN = re.compile(r"(?![~=])[A-Za-z0-9/+=_.,:@-]+", re.ASCII)
# For INI files, whose readers agree on no quoting: some take "#" or ";" for a comment and strip
# blanks and quotes.
FILE_VALUE = re.compile(r"(?:(?!['\"`\\#;\[\]])[!-~])+", re.ASCII)
ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
# Nothing in it means anything to a shell inside double quotes.
URL = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/?=&%+,:@-]*)?",
    re.ASCII,
)


def opened(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def check(name: str, value: str | Secret, grammar: re.Pattern[str]) -> None:
    """Check a value. Raises ValueError, with the name and without the value."""
    if not grammar.fullmatch(opened(value)):
        raise ValueError(
            f"{name} is empty or has a character that this snippet cannot carry safely."
        )


def check_profile(profile: str) -> None:
    """Check the name of a section. Raises ValueError."""
    validate_profile(profile)


def credentials_of(snippet: Snippet) -> AwsCredentials:
    """Check that there are credentials. Raises ValueError, also for an end without a time zone."""
    credentials = snippet.credentials
    if credentials is None:
        raise ValueError("There are no credentials to write.")
    if credentials.expires_at is not None and credentials.expires_at.tzinfo is None:
        raise ValueError("The credentials' end has no time zone.")
    return credentials


def comments_of(snippet: Snippet) -> tuple[str, ...]:
    """Return what a file says at its top, as lines without the mark of a comment."""
    end = end_of(credentials_of(snippet))
    return ("From Chainweb; good until " + end if end else "From Chainweb",)


def end_of(credentials: AwsCredentials) -> str:
    """Return the end as "2026-01-31T12:00:00Z"; "" for a long-lived key."""
    return end_at(credentials.expires_at)


def end_at(moment: datetime | None) -> str:
    """Return a moment in UTC; parts of a second are dropped, so that it is never too late."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""
