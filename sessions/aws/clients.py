"""Configure botocore: no shared files, no look-ups, one client per service and region.

Credentials are switched per call.

A client of its own for each call would cost four times the CPU, a boto3 session of its own fifty
times. Of what is left, a quarter went into putting the same User-Agent together for each call, and
into dateutil, which reads ISO 8601 among all else.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.utils import parse_timestamp

from sessions.aws.credentials import AwsCredentials

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient

CONNECT_SECONDS = 2
READ_SECONDS = 5
CONNECTIONS = 64

# botocore's debug lines hold signed headers and whole answers. A filter stays on, whatever level is
# configured later.
_TALKATIVE = (
    "auth",
    "awsrequest",
    "client",
    "credentials",
    "endpoint",
    "hooks",
    "httpsession",
    "parsers",
    "utils",
)

_signing_with: ContextVar[AwsCredentials | None] = ContextVar("signing_with", default=None)
_clients: dict[tuple[int, str, str, str, str], Any] = {}
_making = threading.Lock()


def config(region: str | None = None) -> Config:
    """Return a configuration of one attempt, short time-outs and a connection per thread.

    The caller decides about retries.
    """
    return Config(
        region_name=region,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )


def bare_session() -> botocore.session.Session:
    """Make a botocore session that reads the environment and no shared file or profile."""
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    session.set_config_variable("sts_regional_endpoints", "regional")
    # "auto" would ask the instance metadata service while a client is made.
    session.set_config_variable("defaults_mode", "legacy")
    session.set_config_variable("user_agent_appid", "chainweb")
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return session


def _moment(said: Any) -> datetime:
    """Parse a time of an answer: ISO 8601 in Query and XML, seconds in JSON."""
    try:
        return datetime.fromisoformat(said)
    except (TypeError, ValueError):
        moment: datetime = parse_timestamp(said)
        return moment


def client(service: str, region: str) -> Any:
    """Return the shared client of that service and region.

    It signs with what `signing_with` says, in the caller's own thread.

    Made when it is first asked for in this process, so that no connection outlives a fork.
    """
    variable = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
    key = (
        os.getpid(),
        service,
        region,
        os.environ.get(variable, ""),
        os.environ.get("AWS_ENDPOINT_URL", ""),
    )
    made = _clients.get(key)
    if made is None:
        with _making:
            made = _clients.get(key)
            if made is None:
                session = bare_session()
                session.register_component("credential_provider", _SwitchedProvider())
                agent = Config(user_agent=f"{session.user_agent()} app/chainweb")
                made = session.create_client(service, config=config(region).merge(agent))
                _clients[key] = made
    return made


def sts_client(region: str) -> "STSClient":
    """Return the shared STS client of a region."""
    return cast("STSClient", client("sts", region))


@contextmanager
def signing_with(credentials: AwsCredentials) -> Iterator[None]:
    """Sign this thread's calls through the shared client with these credentials."""
    token = _signing_with.set(credentials)
    try:
        yield
    finally:
        _signing_with.reset(token)


class _SwitchedCredentials(Credentials):
    """Give botocore, as one set, the credentials of the call that is being signed."""

    def __init__(self) -> None:
        super().__init__("switched", "per-call", method="chainweb")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        using = _signing_with.get()
        if using is None:
            raise RuntimeError("A shared client was used without saying whose credentials sign.")
        token = using.session_token.reveal() if using.session_token else None
        return ReadOnlyCredentials(using.access_key_id, using.secret_access_key.reveal(), token)


class _SwitchedProvider:
    """Keep botocore from looking for credentials of its own."""

    def load_credentials(self) -> _SwitchedCredentials:
        return _SwitchedCredentials()


def _forget_locks_after_fork() -> None:
    # A child forked while another thread held the lock would wait for it forever.
    global _making
    _making = threading.Lock()
    _clients.clear()


def _no_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


os.register_at_fork(after_in_child=_forget_locks_after_fork)
for _name in _TALKATIVE:
    logging.getLogger(f"botocore.{_name}").addFilter(_no_debug)
