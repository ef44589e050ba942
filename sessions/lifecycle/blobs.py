"""Credentials and root secrets, to and from their sealed form."""

import json
from collections.abc import Mapping

from sessions import sealing
from sessions.aws.credentials import AwsCredentials
from sessions.aws.roots import ROOT_KINDS
from sessions.models import AwsSession, Credential
from sessions.sealing import Place, Stored
from sessions.secret import Secret


def seal_credentials(row: Credential, credentials: AwsCredentials, generation: int) -> bytes:
    """Closes secret key and session token for that row and generation; what a root holds, to the workers' key."""
    token = credentials.session_token.reveal() if credentials.session_token else ""
    text = json.dumps({"secret_access_key": credentials.secret_access_key.reveal(), "session_token": token})
    close = sealing.seal_to_workers if row.level == 0 else sealing.seal
    return close(Secret(text), row.place(generation))


def open_credentials(row: Credential) -> AwsCredentials:
    """Opens what the row holds now; a root's, only in a worker. Raises `SealingError` if nothing was sealed for it."""
    if row.sealed is None:
        raise sealing.SealingError("There is nothing sealed in this row.")
    unlock = sealing.open_as_worker if row.level == 0 else sealing.open_sealed
    parts = json.loads(unlock(row.sealed, row.place(row.generation)).reveal())
    return AwsCredentials(
        row.access_key_id, Secret(parts["secret_access_key"]), Secret(parts["session_token"]), row.expires_at
    )


def seal_root_secrets(secrets: Mapping[str, Secret], place: Place) -> bytes:
    """Closes a root's secrets to the workers' key."""
    return sealing.seal_to_workers(
        Secret(json.dumps({name: value.reveal() for name, value in secrets.items()})), place
    )


def open_root_secrets(sealed: Stored | None, place: Place) -> dict[str, Secret]:
    """Opens them again; only in a worker."""
    if sealed is None:
        return {}
    parts = json.loads(sealing.open_as_worker(sealed, place).reveal())
    return {name: Secret(value) for name, value in parts.items()}


def root_credentials(root: AwsSession, region: str) -> AwsCredentials:
    """The root's own credentials, by its kind. Raises `AwsError` (hop 0) or `SealingError`."""
    secrets = open_root_secrets(root.sealed_secrets, root.place)
    return ROOT_KINDS[root.kind].base_credentials(root.settings, secrets, {}, region)
