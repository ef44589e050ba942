"""Check each process's keys before it starts: present, well-formed, those of this database.

A web without keys would serve pages that fail at the click that matters, and a worker without them
would mark healthy chains.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from sessions import sealing
from sessions.credentials.payloads import open_root_secrets
from sessions.db.clock import database_now
from sessions.ledger.checkpoints import key_problem
from sessions.models import AwsSession, Credential
from sessions.people.second_factors import SEALED_FIELDS, open_seed
from sessions.sealing import SealingError, parse_keys

NEEDED_BY = {
    "web": ("SECRET_KEY", "CHAINWEB_SEAL_KEYS", "CHAINWEB_ROOT_PUBLIC_KEY"),
    "worker": (
        "SECRET_KEY",
        "CHAINWEB_SEAL_KEYS",
        "CHAINWEB_ROOT_PUBLIC_KEY",
        "CHAINWEB_ROOT_KEYS",
    ),
    "beat": ("SECRET_KEY",),
}
PURPOSES = {
    "SECRET_KEY": "it signs cookies",
    "CHAINWEB_SEAL_KEYS": "it opens sealed credentials",
    "CHAINWEB_ROOT_PUBLIC_KEY": "root secrets are sealed to it",
    "CHAINWEB_ROOT_KEYS": "it opens root secrets",
}
# gunicorn's own code for an application that does not load: it ends, rather than start the next
# that will not.
EXIT_CODE = 4
SAMPLE = 50


def problems_of(part: str) -> list[str]:
    """Return why that part of the installation cannot work, a line each; empty if it can."""
    needed = NEEDED_BY[part]
    problems = [f"{name} is not set: {PURPOSES[name]}." for name in needed if not _setting(name)]
    keys: dict[str, dict[str, bytes]] = {}
    for name in needed:
        if name != "SECRET_KEY" and _setting(name):
            try:
                keys[name] = parse_keys(_setting(name), name)
            except SealingError as error:
                problems.append(str(error))
    public, private = keys.get("CHAINWEB_ROOT_PUBLIC_KEY", {}), keys.get("CHAINWEB_ROOT_KEYS")
    if len(public) > 1:
        problems.append("CHAINWEB_ROOT_PUBLIC_KEY must be one id:base64 pair.")
    elif private is not None and any(
        _public_half(private.get(each)) != key for each, key in public.items()
    ):
        problems.append(
            "CHAINWEB_ROOT_PUBLIC_KEY is not the public half of one of CHAINWEB_ROOT_KEYS: workers"
            " could not open what the web seals with it. Both come from one `manage.py keys`."
        )
    if private is not None and not problems:
        problems = _problems_with_checkpoints()
    if not problems and len(needed) > 1:
        problems = _problems_with_the_database(is_worker=private is not None)
    return problems


def _problems_with_checkpoints() -> list[str]:
    """Return why this worker's checkpoints could not be verified. Without a key it signs none."""
    try:
        problem = key_problem(
            settings.CHAINWEB_CHECKPOINT_KEY, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY
        )
    except SealingError as error:
        problem = str(error)
    return [problem] if problem else []


def _setting(name: str) -> str:
    try:
        return str(getattr(settings, name))
    except ImproperlyConfigured:  # how Django says that SECRET_KEY is empty
        return ""


def _public_half(private: bytes | None) -> bytes | None:
    if private is None:
        return None
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _problems_with_the_database(*, is_worker: bool) -> list[str]:
    """Return a line for each kind of sealed value of which none opens.

    Some that do not open are no reason: an older key may have been dropped too early. A database
    that is away, or not yet migrated, says nothing.
    """
    problems = []
    was_open = connection.connection is not None
    try:
        if _none(_is_ours, _sealed_credentials()) or _none(open_seed, _sealed_seeds()):
            problems.append(
                "CHAINWEB_SEAL_KEYS opens nothing that this database holds: the keys belong to"
                " another installation, or the ones in use were dropped before `manage.py reseal`."
                " Put them back. If they are lost, credentials are issued again once the old ones"
                " have expired, and `manage.py person NAME --remove-two-factor` removes what is"
                " left."
            )
        if is_worker and _none(
            _opens_root, AwsSession.objects.exclude(sealed_secrets=None)[:SAMPLE]
        ):
            problems.append(
                "CHAINWEB_ROOT_KEYS opens no root of this database: the keys belong to another"
                " installation, or the ones in use were dropped before `manage.py reseal`. Put them"
                " back. If they are lost, edit each root and enter its secrets again with the new"
                " public key, before workers start."
            )
    except DatabaseError:
        pass
    finally:
        if not was_open:  # a worker is about to fork, and the web's first thread serves nobody
            connection.close()
    return problems


def _none(opens: Callable[[Any], object], values: Iterable[Any]) -> bool:
    """Return whether there are some, and not one opens."""
    tried = False
    for value in values:
        tried = True
        try:
            opens(value)
        except (SealingError, ValueError):
            continue
        return False
    return tried


def _sealed_credentials() -> Iterable[Any]:
    living = Credential.objects.filter(
        level__gt=0, sealed__isnull=False, expires_at__gt=database_now()
    )
    return living.values_list("sealed", flat=True)[:SAMPLE]


def _is_ours(sealed: sealing.Stored) -> None:
    if sealing.key_id_of(sealed) not in parse_keys(
        settings.CHAINWEB_SEAL_KEYS, "CHAINWEB_SEAL_KEYS"
    ):
        raise SealingError("sealed with a key that is not here")


def _sealed_seeds() -> Iterable[str]:
    for data in Authenticator.objects.values_list("data", flat=True)[:SAMPLE]:
        yield from (data[name] for name in SEALED_FIELDS if name in data)


def _opens_root(root: AwsSession) -> None:
    open_root_secrets(root.sealed_secrets, root.seal_context)


def refuse_to_start_without_keys(part: str) -> None:
    """End this process, one line for each reason on stderr, if it could not do its work."""
    if problems := problems_of(part):
        _refuse(part, problems)


def _refuse(part: str, problems: list[str]) -> NoReturn:
    sys.stderr.write("".join(f"Chainweb's {part} does not start. {each}\n" for each in problems))
    sys.stderr.flush()
    raise SystemExit(EXIT_CODE)
