"""Seal and open credentials and root secrets."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sessions import sealing
from sessions.aws.credentials import AwsCredentials
from sessions.aws.roots import ROOT_KINDS
from sessions.models import AwsSession, Credential
from sessions.sealing import SealContext, Stored
from sessions.secret import Secret


def seal_credentials(row: Credential, credentials: AwsCredentials, generation: int) -> bytes:
    """Seal secret key and session token for that row and generation; a root's to the workers' key.

    Key id and end are stored beside the sealed value to be searched by. They are closed in as well,
    so that nobody who can write the table gives a secret another name or a later end. Inside, and
    not in what is bound to the outside: an older web process reads what a newer worker has closed,
    and `reseal` moves it without knowing.
    """
    text = json.dumps(
        {
            "secret_access_key": credentials.secret_access_key.reveal(),
            "session_token": credentials.session_token.reveal()
            if credentials.session_token
            else "",
            "access_key_id": credentials.access_key_id,
            "expires_at": credentials.expires_at.isoformat() if credentials.expires_at else None,
        }
    )
    close = sealing.seal_to_workers if row.level == 0 else sealing.seal
    return close(Secret(text), row.seal_context(generation))


def open_credentials(row: Credential) -> AwsCredentials:
    """Open what the row holds now; a root's, only in a worker.

    Raises `SealingError` if nothing was sealed for it, if the key id beside it is not the one that
    it was sealed with, or if the end is later than that; a worker writes an earlier one when AWS
    says that it has ended. What was sealed before these two were closed in lacks them; AWS ends it
    within hours.
    """
    if row.sealed is None:
        raise sealing.SealingError("There is nothing sealed in this row.")
    unlock = sealing.open_as_worker if row.level == 0 else sealing.open_sealed
    parts = json.loads(unlock(row.sealed, row.seal_context(row.generation)).reveal())
    if not _fits(parts, row):
        raise sealing.SealingError("The key id or the end beside a sealed value was changed.")
    return AwsCredentials(
        row.access_key_id,
        Secret(parts["secret_access_key"]),
        Secret(parts["session_token"]),
        row.expires_at,
    )


def _fits(sealed: Mapping[str, Any], row: Credential) -> bool:
    if "access_key_id" not in sealed:
        return True
    if sealed["access_key_id"] != row.access_key_id:
        return False
    if sealed["expires_at"] is None:
        return True
    return row.expires_at is not None and row.expires_at <= datetime.fromisoformat(
        sealed["expires_at"]
    )


def seal_root_secrets(secrets: Mapping[str, Secret], context: SealContext) -> bytes:
    """Seal a root's secrets to the workers' key."""
    return sealing.seal_to_workers(
        Secret(json.dumps({name: value.reveal() for name, value in secrets.items()})), context
    )


def open_root_secrets(sealed: Stored | None, context: SealContext) -> dict[str, Secret]:
    """Open a root's secrets, in a worker."""
    if sealed is None:
        return {}
    parts = json.loads(sealing.open_as_worker(sealed, context).reveal())
    return {name: Secret(value) for name, value in parts.items()}


def root_credentials(root: AwsSession, region: str) -> AwsCredentials:
    """Get a root's credentials by its kind. Raises `AwsError` (hop 0) or `SealingError`."""
    secrets = open_root_secrets(root.sealed_secrets, root.seal_context)
    return ROOT_KINDS[root.kind].get_credentials(root.settings, secrets, {}, region)
