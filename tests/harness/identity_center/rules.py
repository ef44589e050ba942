"""Decide on registrations, device codes, tokens and assignments. No HTTP here."""

import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "sso:account:access"
# The codes by which AWS answers, and the OAuth error in the body.
CODES = {
    "AuthorizationPendingException": (400, "authorization_pending"),
    "SlowDownException": (400, "slow_down"),
    "ExpiredTokenException": (400, "expired_token"),
    "AccessDeniedException": (400, "access_denied"),
    "InvalidGrantException": (400, "invalid_grant"),
    "InvalidClientException": (401, "invalid_client"),
    "InvalidRequestException": (400, "invalid_request"),
    "UnsupportedGrantTypeException": (400, "unsupported_grant_type"),
    "InvalidScopeException": (400, "invalid_scope"),
    "UnauthorizedException": (401, ""),
    "ForbiddenException": (403, ""),
    "TooManyRequestsException": (429, ""),
    "InternalServerException": (500, "server_error"),
}


class Refusal(Exception):
    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code, self.message = code, message
        self.status, self.error = CODES[code]


@dataclass
class Client:
    secret: str = field(repr=False)
    ends: float
    grants: tuple[str, ...]
    scopes: tuple[str, ...]


@dataclass
class Device:
    client_id: str
    user_code: str
    ends: float
    interval: int
    polled: float = 0.0
    person: str = ""
    denied: bool = False
    used: bool = False


@dataclass
class Login:
    """Hold what an approval has led to; the access token is its key elsewhere."""

    person: str
    client_id: str
    ends: float
    refresh: str = field(repr=False)


class Rules:
    """Hold the state.

    Each action takes the fields of its request and returns those of its answer, or raises
    `Refusal`.
    """

    def __init__(self, start_url: str) -> None:
        self.start_url = start_url
        self.clients: dict[str, Client] = {}
        self.devices: dict[str, Device] = {}
        self.logins: dict[str, Login] = {}
        # {person: {(account, account's name): [roles]}}
        self.assigned: dict[str, dict[tuple[str, str], list[str]]] = {}
        self.clock_ahead_seconds = 0.0
        self.interval_seconds = 1
        self.device_seconds = 600
        self.token_seconds = 3600
        self.role_seconds = 3600
        self.page_size = 2

    def now(self) -> float:
        return time.time() + self.clock_ahead_seconds

    def register(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("clientType") != "public" or not asked.get("clientName"):
            raise Refusal("InvalidRequestException")
        if not set(asked.get("scopes", [])) <= {SCOPE}:
            raise Refusal("InvalidScopeException")
        client_id, secret = secrets.token_urlsafe(16), secrets.token_urlsafe(300)
        grants, scopes = tuple(asked.get("grantTypes", [])), tuple(asked.get("scopes", []))
        self.clients[client_id] = Client(secret, self.now() + 90 * 86400, grants, scopes)
        return {
            "clientId": client_id,
            "clientSecret": secret,
            "clientIdIssuedAt": int(self.now()),
            "clientSecretExpiresAt": int(self.now() + 90 * 86400),
        }

    def start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._client(asked)
        if asked.get("startUrl") != self.start_url:
            raise Refusal("InvalidRequestException")
        user_code = "-".join(
            "".join(secrets.choice(string.ascii_uppercase) for _ in range(4)) for _ in "12"
        )
        device_code = secrets.token_urlsafe(60)
        self.devices[device_code] = Device(
            asked["clientId"], user_code, self.now() + self.device_seconds, self.interval_seconds
        )
        return {
            "deviceCode": device_code,
            "userCode": user_code,
            "verificationUri": f"{self.start_url}/#/device",
            "verificationUriComplete": f"{self.start_url}/#/device?user_code={user_code}",
            "expiresIn": self.device_seconds,
            "interval": self.interval_seconds,
        }

    def token(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        client = self._client(asked)
        grant = asked.get("grantType")
        if grant not in client.grants:
            raise Refusal("UnsupportedGrantTypeException")
        if grant == DEVICE_GRANT:
            return self._issue(self._approved(asked), asked["clientId"], client)
        login = next(
            (t for t, login in self.logins.items() if login.refresh == asked.get("refreshToken")),
            None,
        )
        if login is None or self.logins[login].client_id != asked["clientId"]:
            raise Refusal("InvalidGrantException")
        # A refresh token is good once.
        return self._issue(self.logins.pop(login).person, asked["clientId"], client)

    def _approved(self, asked: Mapping[str, Any]) -> str:
        device = self.devices.get(asked.get("deviceCode", ""))
        if device is None or device.used or device.client_id != asked["clientId"]:
            raise Refusal("InvalidGrantException")
        if device.ends <= self.now():
            raise Refusal("ExpiredTokenException")
        if device.denied:
            raise Refusal("AccessDeniedException")
        too_soon = self.now() - device.polled < device.interval * 0.9
        device.polled = self.now()
        if too_soon:
            device.interval += 5
            raise Refusal("SlowDownException")
        if not device.person:
            raise Refusal("AuthorizationPendingException")
        device.used = True
        return device.person

    def _issue(self, person: str, client_id: str, client: Client) -> dict[str, Any]:
        access, refresh = secrets.token_urlsafe(200), secrets.token_urlsafe(200)
        self.logins[access] = Login(person, client_id, self.now() + self.token_seconds, refresh)
        with_refresh = {"refreshToken": refresh} if SCOPE in client.scopes else {}
        return {
            "accessToken": access,
            "tokenType": "Bearer",
            "expiresIn": self.token_seconds,
            **with_refresh,
        }

    def _client(self, asked: Mapping[str, Any]) -> Client:
        client = self.clients.get(asked.get("clientId", ""))
        if (
            client is None
            or client.secret != asked.get("clientSecret")
            or client.ends <= self.now()
        ):
            raise Refusal("InvalidClientException")
        return client

    def person_of(self, access_token: str) -> str:
        login = self.logins.get(access_token)
        if login is None or login.ends <= self.now():
            raise Refusal("UnauthorizedException", "Session token not found or invalid")
        return login.person

    def accounts(self, person: str, asked: Mapping[str, str]) -> dict[str, Any]:
        rows = [
            {"accountId": account, "accountName": name, "emailAddress": "aws@example.com"}
            for account, name in self.assigned.get(person, {})
        ]
        return self._page("accountList", rows, asked)

    def roles(self, person: str, asked: Mapping[str, str]) -> dict[str, Any]:
        account = asked.get("account_id", "")
        rows = [
            {"roleName": role, "accountId": account}
            for (number, _), roles in self.assigned.get(person, {}).items()
            if number == account
            for role in roles
        ]
        if not rows:
            raise Refusal("ForbiddenException", "No access")
        return self._page("roleList", rows, asked)

    def may(self, person: str, account: str, role: str) -> bool:
        return any(
            number == account and role in roles
            for (number, _), roles in self.assigned.get(person, {}).items()
        )

    def _page(
        self, name: str, rows: list[dict[str, str]], asked: Mapping[str, str]
    ) -> dict[str, Any]:
        start = int(asked.get("next_token") or 0)
        end = start + self.page_size
        return {name: rows[start:end], "nextToken": str(end) if end < len(rows) else None}
