"""Say which self-refreshing form fits an installation, and why."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sessions.snippets.token_files import is_on_loopback

CONTAINER, PROCESS = "container-environment", "process-config"


@dataclass(frozen=True)
class Fit:
    """Name the format that fits, empty for neither, and the reason."""

    form: str
    why: str


def fit_of(base_url: str, *, is_private_ca: bool) -> Fit:
    """Return which form fits an installation at that address."""
    if is_on_loopback(base_url):
        return Fit(CONTAINER, "this installation is on your own machine")
    if urlsplit(base_url).scheme != "https":
        return Fit("", "a token would cross the network in the clear: set up https first")
    if is_private_ca:
        return Fit(
            PROCESS, "the certificate is of a private authority, which botocore's endpoint ignores"
        )
    return Fit(
        CONTAINER,
        "https with a public certificate; behind a proxy, or with an older CLI, "
        "use the credential_process profile",
    )
