"""System checks: the installation refuses to start with keys that cannot work."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Critical, register
from django.core.exceptions import ImproperlyConfigured

from sessions.sealing import SealingError, parse_keys

# The tag by which `up` asks for these alone: at every start, and without loading the whole URLconf for it.
KEYS = "keys"


@register(KEYS)
def keys_are_usable(**kwargs: Any) -> list[CheckMessage]:
    """CHAINWEB_SEAL_KEYS and CHAINWEB_ROOT_PUBLIC_KEY must be set; all key settings must parse."""
    problems: list[CheckMessage] = []
    for setting in ("CHAINWEB_SEAL_KEYS", "CHAINWEB_ROOT_PUBLIC_KEY", "CHAINWEB_ROOT_KEYS"):
        try:
            if not parse_keys(getattr(settings, setting), setting) and setting != "CHAINWEB_ROOT_KEYS":
                problems.append(
                    Critical(
                        f"{setting} is not set.",
                        hint="`./run` makes keys by itself; see README for production.",
                        id="chains.E001",
                    )
                )
        except SealingError as error:
            problems.append(Critical(str(error), id="chains.E002"))
    try:
        settings.SECRET_KEY  # noqa: B018  (Django raises by itself where it is empty)
    except ImproperlyConfigured:
        problems.append(Critical("SECRET_KEY is not set.", id="chains.E003"))
    return problems
