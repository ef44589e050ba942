"""Check the system: the installation refuses to start with keys that cannot work."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Critical, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from sessions.db import grants
from sessions.sealing import SealingError, parse_keys

# The tag by which commands ask for these alone. Django's other checks load the whole URLconf, which
# takes half of a short command's time.
KEYS = "keys"


@register(KEYS)
def keys_are_usable(**kwargs: Any) -> list[CheckMessage]:
    """Demand that CHAINWEB_SEAL_KEYS and CHAINWEB_ROOT_PUBLIC_KEY are set and all keys parse."""
    problems: list[CheckMessage] = []
    needed = ("CHAINWEB_SEAL_KEYS", "CHAINWEB_ROOT_PUBLIC_KEY")
    for setting in (
        *needed,
        *("CHAINWEB_ROOT_KEYS", "CHAINWEB_CHECKPOINT_KEY", "CHAINWEB_CHECKPOINT_PUBLIC_KEY"),
    ):
        try:
            if not parse_keys(getattr(settings, setting), setting) and setting in needed:
                problems.append(
                    Critical(
                        f"{setting} is not set.",
                        hint="`./run` creates its own keys; see docs/operations.md for production.",
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


@register(deploy=True)
def hosts_are_named(**kwargs: Any) -> list[CheckMessage]:
    """Refuse patterns that let in hosts of strangers.

    With them the Host header protects from nothing.
    """
    problems: list[CheckMessage] = []
    if not settings.ALLOWED_HOSTS:
        problems.append(
            Critical(
                "ALLOWED_HOSTS is empty: every request would be refused.",
                hint="Set it to the name that people type in their browser.",
                id="chains.E010",
            )
        )
    origins = [origin.partition("://")[2] for origin in settings.CSRF_TRUSTED_ORIGINS]
    for setting, hosts in (
        ("ALLOWED_HOSTS", settings.ALLOWED_HOSTS),
        ("CSRF_TRUSTED_ORIGINS", origins),
    ):
        problems += [
            Critical(
                f"{setting}: {host!r} lets in hosts that are not yours.",
                hint="Name each host, or at most the subdomains of a domain of your own.",
                id="chains.E011",
            )
            for host in hosts
            if is_too_wide(host)
        ]
    return problems


@register(deploy=True)
def ledger_is_signed(**kwargs: Any) -> list[CheckMessage]:
    """Warn where nobody can verify checkpoints, or where workers keep them to the database."""
    if not settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY:
        return [
            Warning(
                "CHAINWEB_CHECKPOINT_PUBLIC_KEY is not set: whoever can write to the database can"
                " rewrite the ledger unseen.",
                hint="Run `manage.py keys` on the folder of the keys once more.",
                id="chains.W012",
            )
        ]
    outside = settings.CHAINWEB_CHECKPOINT_FILE or settings.CHAINWEB_CHECKPOINT_WEBHOOK
    if settings.CHAINWEB_CHECKPOINT_KEY and not outside:
        return [
            Warning(
                "Checkpoints are in the database alone: whoever can write to it can replace them.",
                hint="Set CHAINWEB_CHECKPOINT_FILE or CHAINWEB_CHECKPOINT_WEBHOOK for workers.",
                id="chains.W013",
            )
        ]
    return []


@register(deploy=True)
def written_events_stay(**kwargs: Any) -> list[CheckMessage]:
    """Warn where the role of PostgreSQL that this process connects as may change written events."""
    if not (powers := grants.excess(connection)):
        return []
    return [
        Warning(
            f"The database's role {connection.settings_dict['USER']} {', '.join(powers)}: with its"
            " password the ledger can be rewritten.",
            hint="Let web and workers connect as a role that `migrate` has granted only what they"
            " need: CHAINWEB_DATABASE_APP_ROLE, see docs/operations.md.",
            id="chains.W014",
        )
    ]


def is_too_wide(host: str) -> bool:
    """Return whether a pattern matches any host, or all hosts of a top-level domain."""
    if "*" not in host and not host.startswith("."):
        return False
    labels = [label for label in host.partition(":")[0].split(".") if label]
    return "*" in labels[1:] or len([label for label in labels if label != "*"]) < 2
