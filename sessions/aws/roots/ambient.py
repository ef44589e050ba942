"""Use the workers' own AWS identity: environment, task or pod role, web identity, instance role."""

import os
import threading
import time
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime

from botocore.credentials import CredentialResolver, Credentials, create_credential_resolver

from sessions.aws import own_identity
from sessions.aws.clients import bare_session, config
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, no_credentials
from sessions.aws.responses import malformed
from sessions.aws.roots import RootKind, register
from sessions.aws.roots.web_identity import explained as in_words_of_a_token
from sessions.secret import Secret

# Of botocore's providers those that are the machine's: none that reads a person's files or starts a
# process.
OUR_PROVIDERS = ("assume-role-with-web-identity", "container-role", "iam-role")
# Where there is none, or its source is broken, it is not asked again for every hop of a batch.
RESTS_SECONDS = 5.0

_lock = threading.Lock()
# By process, and by the region where a web identity asks STS.
_found: dict[tuple[int, str], Credentials] = {}
_resting: dict[tuple[int, str], tuple[float, AwsError]] = {}


class Ambient(RootKind):
    kind = "ambient"
    label = "Ambient"
    help = "The workers' own AWS identity: an instance, task or pod role, or their environment."
    icon = "server"
    needs_operator = True

    def asks_sts(self, settings: Mapping[str, str]) -> bool:
        has_key = bool(os.environ.get(own_identity.KEY_ID))
        return not has_key and bool(os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"))

    def identity(self, settings: Mapping[str, str]) -> str:
        return self.kind  # whoever the workers are

    def get_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """Return this process's identity at AWS now.

        botocore renews it; the environment is read each time.
        """
        return own_identity.from_environment() or _machines(
            region if self.asks_sts(settings) else ""
        )

    def summary(self, settings: Mapping[str, str]) -> str:
        return "the workers' own identity"


def _machines(region: str) -> AwsCredentials:
    """Get the machine's credentials.

    Their source is found once per process, and again after a failure.
    """
    key = (os.getpid(), region)
    with _lock:
        until, error = _resting.get(key, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise copy(error)  # each raise leaves its frames in what it raises
        try:
            own = _found.get(key) or _look(region)
            _found[key] = own
            return _usable(own)
        # Metadata services are outside code: what they answer may make botocore raise anything.
        except Exception as raised:  # noqa: BLE001
            own_error = own_identity.explained(raised, region)
            if region:
                own_error = in_words_of_a_token(own_error)
            _found.pop(key, None)
            _resting[key] = (time.monotonic() + RESTS_SECONDS, own_error)
            raise own_error from None


def _look(region: str) -> Credentials:
    session = bare_session()
    session.set_default_client_config(config())
    every = create_credential_resolver(session, region_name=region or None)
    ours = CredentialResolver([each for each in every.providers if each.METHOD in OUR_PROVIDERS])
    found = ours.load_credentials()
    if found is None:
        raise no_credentials()
    return found


def _usable(own: Credentials) -> AwsCredentials:
    """Take what the source gives now, if it can be credentials of AWS that have not expired."""
    try:
        frozen = own.get_frozen_credentials()
    except Exception:
        # botocore gives up ten minutes before the end; until then what it has is as good as ever.
        kept, ends = getattr(own, "_frozen_credentials", None), getattr(own, "_expiry_time", None)
        if kept is None or not isinstance(ends, datetime) or ends <= datetime.now(UTC):
            raise
        frozen = kept
    ends = getattr(own, "_expiry_time", None)
    if part := malformed(frozen.access_key, frozen.secret_key, frozen.token):
        raise own_identity.unreadable(f"the {part}")
    if not isinstance(ends, datetime):
        ends = None
    elif ends.utcoffset() is None:
        raise own_identity.unreadable("the time zone of Expiration")
    elif ends <= datetime.now(UTC):
        raise own_identity.expired_service()
    token = Secret(frozen.token) if frozen.token else None
    ends = ends.astimezone(UTC) if ends else None
    return AwsCredentials(str(frozen.access_key), Secret(str(frozen.secret_key)), token, ends)


def forget() -> None:
    """Forget the credentials found, so that the next call, or a fork, looks for them again."""
    global _lock
    _lock = threading.Lock()
    _found.clear()
    _resting.clear()


os.register_at_fork(after_in_child=forget)
register(Ambient())
