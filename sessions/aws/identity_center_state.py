"""Keep one person's approval at one Identity Center portal between uses, as one secret text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sessions.aws.identity_center import DeviceAuthorization, Registration, Tokens
from sessions.secret import Secret

# A token that ends sooner than that is renewed before it is used.
TOKEN_MARGIN = timedelta(minutes=5)


@dataclass(frozen=True)
class PortalState:
    """Hold our registration, the approval that is awaited, and the tokens of an earlier one.

    Each part may be missing.
    """

    client: Registration | None = None
    device: DeviceAuthorization | None = None
    tokens: Tokens | None = None

    @classmethod
    def read(cls, state: Secret | None) -> Self:
        """Read a state; one that cannot be read is none, and the person approves once more."""
        try:
            said = json.loads(state.reveal()) if state else {}
            return cls(
                _client(said["client"]) if said.get("client") else None,
                _device(said["device"]) if said.get("device") else None,
                _tokens(said["tokens"]) if said.get("tokens") else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def as_secret(self) -> Secret:
        said = {name: _plain(part) for name, part in vars(self).items() if part is not None}
        return Secret(json.dumps(said, separators=(",", ":")))

    def good_until(self) -> datetime | None:
        return self.tokens.expires_at - TOKEN_MARGIN if self.tokens else None

    def has_live_token(self) -> bool:
        ends = self.good_until()
        return ends is not None and ends > datetime.now(UTC)


def _plain(part: Registration | DeviceAuthorization | Tokens) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in vars(part).items():
        match value:
            case Secret():
                plain[name] = value.reveal()
            case datetime():
                plain[name] = value.isoformat()
            case _:
                plain[name] = value
    return plain


def _client(said: Mapping[str, Any]) -> Registration:
    ends = datetime.fromisoformat(said["expires_at"])
    return Registration(said["client_id"], Secret(said["client_secret"]), ends)


def _device(said: Mapping[str, Any]) -> DeviceAuthorization:
    ends = datetime.fromisoformat(said["expires_at"])
    return DeviceAuthorization(
        Secret(said["device_code"]), said["user_code"], said["url"], ends, said["interval_seconds"]
    )


def _tokens(said: Mapping[str, Any]) -> Tokens:
    ends = datetime.fromisoformat(said["expires_at"])
    refresh = said["refresh_token"]
    return Tokens(Secret(said["access_token"]), ends, Secret(refresh) if refresh else None)
