"""The workers' own AWS identity: the environment, a task's or pod's role, a web identity, an instance's role."""

import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from botocore.credentials import (
    CredentialResolver,
    Credentials,
    EnvProvider,
    create_credential_resolver,
)

from sessions.aws.clients import bare_session, config
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import no_credentials, translate
from sessions.aws.roots import RootKind, register
from sessions.secret import Secret

# Of botocore's providers those that are the machine's: none that reads a person's files or starts a process.
OUR_PROVIDERS = ("assume-role-with-web-identity", "container-role", "iam-role")
# Where there is none, the metadata service is not asked again for every hop of a batch.
ABSENT_SECONDS = 5.0

_lock = threading.Lock()
_found: dict[int, Credentials] = {}
_absent_until: dict[int, float] = {}


class Ambient(RootKind):
    kind = "ambient"
    label = "Ambient"
    help = "The workers' own AWS identity: an instance, task or pod role, or their environment."
    icon = "server"
    needs_operator = True

    def base_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """What this process is at AWS now. botocore keeps it fresh; the environment is read anew each time."""
        try:
            own = EnvProvider().load() or _machines(region)
            if own is None:
                raise no_credentials()
            frozen = own.get_frozen_credentials()
            if not frozen.access_key or not frozen.secret_key:
                raise no_credentials()
        # Metadata services are outside code: what they answer may make botocore raise anything.
        except Exception as error:  # noqa: BLE001
            raise translate(error, 0) from None
        ends = getattr(own, "_expiry_time", None)
        return AwsCredentials(
            frozen.access_key,
            Secret(frozen.secret_key),
            Secret(frozen.token) if frozen.token else None,
            ends.astimezone(UTC) if isinstance(ends, datetime) else None,
        )

    def summary(self, settings: Mapping[str, str]) -> str:
        return "the workers' own identity"


def _machines(region: str) -> Credentials | None:
    """The machine's credentials, looked for once per process; they refresh themselves."""
    pid = os.getpid()
    if pid in _found:
        return _found[pid]
    with _lock:
        if pid not in _found and time.monotonic() >= _absent_until.get(pid, 0.0):
            session = bare_session()
            session.set_default_client_config(config())
            every = create_credential_resolver(session, region_name=region)
            ours = CredentialResolver([each for each in every.providers if each.METHOD in OUR_PROVIDERS])
            found = ours.load_credentials()
            if found is None:
                _absent_until[pid] = time.monotonic() + ABSENT_SECONDS
            else:
                _found[pid] = found
        return _found.get(pid)


def forget() -> None:
    """Looks again at the next call, and starts afresh after a fork."""
    global _lock
    _lock = threading.Lock()
    _found.clear()
    _absent_until.clear()


os.register_at_fork(after_in_child=forget)
register(Ambient())
