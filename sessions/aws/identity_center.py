"""Call IAM Identity Center, here alone: its OIDC endpoint (sso-oidc) and its portal (sso).

No call is signed.

What comes back is checked before it is believed, as with STS; times are aware, in UTC. Errors are
`AwsError` with hop 0, apart from those that a device authorization ends in, which are
`TokenAnswer`s.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from botocore.exceptions import ClientError

from sessions.aws.calls import calling, check_region
from sessions.aws.clients import client
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import unreadable
from sessions.aws.proof import Asked, Call, Signer
from sessions.aws.responses import read_credentials, unacceptable
from sessions.secret import Secret

CLIENT_NAME = "Chainweb"
# What the portal's calls need; with a scope, the answer has a refresh token as well.
SCOPE = "sso:account:access"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT = "refresh_token"
# A permission set's session lives at most so long.
LONGEST_SESSION = timedelta(hours=12)
# Accounts, or roles of one account: an organisation has at most some thousands of accounts.
MOST_PAGES = 100

_OPAQUE = re.compile(r"[!-~]{1,16384}", re.ASCII)
_USER_CODE = re.compile(r"[A-Za-z0-9-]{4,32}", re.ASCII)
# It becomes a link on our page: https only, nothing that could end an attribute.
_PAGE = re.compile(
    r"https://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:[/?#][!#-&(-;=?-\[\]-_a-z|~]*)?", re.ASCII
)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_ROLE = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Registration:
    """Hold our client registration at the OIDC endpoint; it lasts some months."""

    client_id: str
    client_secret: Secret
    expires_at: datetime


@dataclass(frozen=True)
class DeviceAuthorization:
    """Hold a page to open, the code that it shows, and the device code that we ask with."""

    device_code: Secret
    user_code: str
    url: str
    expires_at: datetime
    interval_seconds: int


@dataclass(frozen=True)
class Tokens:
    """Hold an access token and its refresh token, which is None where there is none."""

    access_token: Secret
    expires_at: datetime
    refresh_token: Secret | None


class NotYet(Enum):
    """Say why there is no token, where that is no error: the codes of RFC 8628."""

    PENDING = "AuthorizationPendingException"
    SLOW_DOWN = "SlowDownException"
    EXPIRED = "ExpiredTokenException"
    DENIED = "AccessDeniedException"
    # The device code or refresh token is used up, or was taken back; the registration is forgotten.
    INVALID = "InvalidGrantException"
    UNKNOWN_CLIENT = "InvalidClientException"
    UNAUTHORIZED_CLIENT = "UnauthorizedClientException"


TokenAnswer = Tokens | NotYet


@dataclass(frozen=True)
class Account:
    id: str
    name: str


def register_client(region: str) -> Registration:
    """Register Chainweb as a client of a region's Identity Center."""
    check_region(region, 0)
    with calling(0, asked=_asked(region)):
        return _registration(
            client("sso-oidc", region).register_client(
                clientName=CLIENT_NAME,
                clientType="public",
                scopes=[SCOPE],
                grantTypes=[DEVICE_GRANT, REFRESH_GRANT],
            )
        )


def start_device_authorization(
    known: Registration, start_url: str, region: str
) -> DeviceAuthorization:
    """Ask for a page where a person approves, for the portal with that start URL."""
    check_region(region, 0)
    with calling(0, asked=_asked(region), hidden=known.client_secret):
        return _device_authorization(
            client("sso-oidc", region).start_device_authorization(
                clientId=known.client_id,
                clientSecret=known.client_secret.reveal(),
                startUrl=start_url,
            )
        )


def create_token(
    known: Registration,
    region: str,
    *,
    device_code: Secret | None = None,
    refresh_token: Secret | None = None,
) -> TokenAnswer:
    """Return tokens for an approved device code or a refresh token, or why there are none."""
    check_region(region, 0)
    with calling(0, asked=_asked(region), hidden=device_code or refresh_token):
        try:
            if device_code:
                return _tokens(
                    client("sso-oidc", region).create_token(
                        clientId=known.client_id,
                        clientSecret=known.client_secret.reveal(),
                        grantType=DEVICE_GRANT,
                        deviceCode=device_code.reveal(),
                    )
                )
            assert refresh_token is not None
            return _tokens(
                client("sso-oidc", region).create_token(
                    clientId=known.client_id,
                    clientSecret=known.client_secret.reveal(),
                    grantType=REFRESH_GRANT,
                    refreshToken=refresh_token.reveal(),
                )
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in {each.value for each in NotYet}:
                return NotYet(code)
            raise


def list_accounts(access_token: Secret, region: str) -> tuple[Account, ...]:
    """Return the accounts that are assigned to the person, by name."""
    check_region(region, 0)
    found: list[Account] = []
    with calling(0, asked=_asked(region), hidden=access_token):
        pages = client("sso", region).get_paginator("list_accounts")
        for page in _some(pages.paginate(accessToken=access_token.reveal())):
            for each in _rows(page, "accountList"):
                name = str(each.get("accountName") or "")[:100]
                found.append(Account(_text(each, "accountId", _ACCOUNT, "account"), name))
    return tuple(sorted(found, key=lambda account: (account.name.casefold(), account.id)))


def list_account_roles(access_token: Secret, account: str, region: str) -> tuple[str, ...]:
    """Return the names of the person's roles (permission sets) in an account."""
    check_region(region, 0)
    found: list[str] = []
    with calling(0, asked=_asked(region), hidden=access_token):
        pages = client("sso", region).get_paginator("list_account_roles")
        for page in _some(pages.paginate(accessToken=access_token.reveal(), accountId=account)):
            found += [_text(each, "roleName", _ROLE, "role") for each in _rows(page, "roleList")]
    return tuple(sorted(found, key=str.casefold))


def role_credentials(access_token: Secret, account: str, role: str, region: str) -> AwsCredentials:
    """Return the person's credentials of a role; they end when the permission set says."""
    check_region(region, 0)
    with calling(0, asked=_asked(region), hidden=access_token):
        return _role_credentials(
            client("sso", region).get_role_credentials(
                accessToken=access_token.reveal(), accountId=account, roleName=role
            )
        )


def _asked(region: str) -> Asked:
    return Asked(Call.PORTAL, Signer.NOBODY, region, home=region)


def _some(pages: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Yield the pages of a list, up to a limit, whatever the other side says."""
    for number, page in enumerate(pages):
        if number >= MOST_PAGES:
            raise unacceptable(0, "The list does not end.", _CHECK)
        yield page


def _check_readable(answer: Mapping[str, Any]) -> None:
    """Refuse a proxy's login page, so that the call is retried.

    botocore reads such a page as an empty answer.
    """
    if not answer.keys() - {"ResponseMetadata"}:
        raise unreadable(0)


def _rows(page: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    _check_readable(page)
    rows = page.get(name)
    if not isinstance(rows, list):
        raise unacceptable(0, f"The answer has no {name}.", _CHECK)
    return rows


def _registration(answer: Mapping[str, Any]) -> Registration:
    _check_readable(answer)
    return Registration(
        _text(answer, "clientId", _OPAQUE, "client ID"),
        Secret(_text(answer, "clientSecret", _OPAQUE, "client secret")),
        _moment(_whole(answer, "clientSecretExpiresAt", 1, 1 << 40)),
    )


def _device_authorization(answer: Mapping[str, Any]) -> DeviceAuthorization:
    _check_readable(answer)
    complete = (
        "verificationUriComplete" if answer.get("verificationUriComplete") else "verificationUri"
    )
    return DeviceAuthorization(
        Secret(_text(answer, "deviceCode", _OPAQUE, "device code")),
        _text(answer, "userCode", _USER_CODE, "user code"),
        _text(answer, complete, _PAGE, "address of the page"),
        datetime.now(UTC) + timedelta(seconds=_whole(answer, "expiresIn", 1, 86_400)),
        # RFC 8628: five seconds where nothing is said.
        _whole(answer, "interval", 1, 60) if answer.get("interval") else 5,
    )


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    _check_readable(answer)
    refresh = answer.get("refreshToken")
    return Tokens(
        Secret(_text(answer, "accessToken", _OPAQUE, "access token")),
        datetime.now(UTC) + timedelta(seconds=_whole(answer, "expiresIn", 1, 90 * 86_400)),
        Secret(_text(answer, "refreshToken", _OPAQUE, "refresh token")) if refresh else None,
    )


def _role_credentials(answer: Mapping[str, Any]) -> AwsCredentials:
    _check_readable(answer)
    said = answer.get("roleCredentials")
    if not isinstance(said, Mapping):
        raise unacceptable(0, "The answer has no credentials.", _CHECK)
    return read_credentials(
        {
            "Credentials": {
                "AccessKeyId": said.get("accessKeyId"),
                "SecretAccessKey": said.get("secretAccessKey"),
                "SessionToken": said.get("sessionToken"),
                # In milliseconds, unlike anything else at AWS.
                "Expiration": _moment(_whole(said, "expiration", 1, 1 << 50) / 1000),
            }
        },
        0,
        datetime.now(UTC),
        LONGEST_SESSION,
        said_with=answer,
    )


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _whole(answer: Mapping[str, Any], name: str, least: int, most: int) -> int:
    number = answer.get(name)
    if type(number) is not int or not least <= number <= most:
        raise unacceptable(
            0, f"The answer's {name} is missing, or no number that it can be.", _CHECK
        )
    return number


def _text(answer: Mapping[str, Any], name: str, pattern: re.Pattern[str], what: str) -> str:
    text = answer.get(name)
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise unacceptable(
            0, f"The answer's {what} is missing, or is not of the form that AWS uses.", _CHECK
        )
    return text


_CHECK = (
    "Check that AWS_ENDPOINT_URL_SSO and AWS_ENDPOINT_URL_SSO_OIDC, if set, lead to what can be"
    " trusted."
)
