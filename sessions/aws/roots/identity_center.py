"""Use IAM Identity Center: each person approves in the browser and gets an assigned role."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sessions.aws import identity_center as center
from sessions.aws.characters import outsider
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, Throttled, WaitingForPerson
from sessions.aws.identity_center import NotYet, Registration, Tokens
from sessions.aws.identity_center_state import PortalState
from sessions.aws.names import InvalidName, validate_region
from sessions.aws.roots import (
    ApprovalPage,
    ApprovalStatus,
    Challenge,
    Choice,
    Field,
    RootKind,
    register,
)
from sessions.secret import Secret

REGISTRATION_MARGIN = timedelta(days=1)
# RFC 8628, 3.5: what "slow down" adds to the interval, now and for all later requests.
SLOWER_SECONDS = 5
SLOWEST_SECONDS = 60

_START_URL = re.compile(r"https://[a-z0-9.-]{1,253}(?:/[A-Za-z0-9._~/-]{0,500})?", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_ROLE = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)


def validate_start_url(text: str) -> str:
    # The browser shows the portal's address with its inner path behind it.
    address = text.partition("#")[0].rstrip("/")
    if not _START_URL.fullmatch(address):
        raise InvalidName(
            "A start URL looks like"
            f" https://d-1234567890.awsapps.com/start{outsider(address, ':/.-_~')}."
        )
    return address


def validate_account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise InvalidName(f"An account is 12 digits{outsider(text, '')}.")
    return text


def validate_role_name(text: str) -> str:
    if not _ROLE.fullmatch(text):
        raise InvalidName(
            "A role's name, as the portal shows it, is 1 to 64 letters, digits and _ + = , . @"
            f" -{outsider(text, '_+=,.@-')}"
        )
    return text


class IdentityCenter(RootKind):
    kind = "identity-center"
    label = "IAM Identity Center"
    help = "A role that Identity Center assigns to each person, who approves in the browser."
    icon = "id-card"
    per_person = True
    identity_settings = ("start_url", "account_id", "role_name")
    fields = (
        Field(
            "start_url",
            "Start URL",
            "Your portal, like https://d-1234567890.awsapps.com/start.",
            validate=validate_start_url,
        ),
        Field(
            "sso_region",
            "Identity Center region",
            "Shown in the settings of Identity Center.",
            validate=validate_region,
        ),
        Field(
            "account_id",
            "Account",
            "Choose after approval, or enter 12 digits.",
            required=False,
            validate=validate_account,
            from_list=True,
        ),
        Field(
            "role_name",
            "Role",
            "Choose after approval: a permission set.",
            required=False,
            validate=validate_role_name,
            from_list=True,
        ),
    )

    def challenges(self, settings: Mapping[str, str]) -> tuple[Challenge, ...]:
        return (
            Challenge(
                "approval",
                "Approval",
                (
                    "Open the page, compare the code and allow access. One approval serves all "
                    "sessions of the same portal."
                ),
                approval=True,
            ),
        )

    def identity(self, settings: Mapping[str, str]) -> str:
        """Name the account's role.

        An account belongs to one portal, which may have several addresses.
        """
        account, role = settings.get("account_id", ""), settings.get("role_name", "")
        return f"{self.kind} {account} {role.lower()}" if account and role else ""

    def approval_scope(self, settings: Mapping[str, str]) -> str:
        return f"{settings.get('sso_region', '')} {settings.get('start_url', '')}"

    def begin(self, settings: Mapping[str, str], state: Secret | None, region: str) -> ApprovalPage:
        kept = PortalState.read(state)
        start_url, where = settings.get("start_url", ""), settings.get("sso_region", "")
        known = kept.client
        try:
            if known and known.expires_at > datetime.now(UTC) + REGISTRATION_MARGIN:
                try:
                    device = center.start_device_authorization(known, start_url, where)
                except Rejected as error:
                    if error.code not in {
                        NotYet.UNKNOWN_CLIENT.value,
                        NotYet.UNAUTHORIZED_CLIENT.value,
                    }:
                        raise
                    known = center.register_client(where)
                    device = center.start_device_authorization(known, start_url, where)
            else:
                known = center.register_client(where)
                device = center.start_device_authorization(known, start_url, where)
        except AwsError as error:
            raise _explained(error) from None
        return ApprovalPage(
            device.url,
            device.user_code,
            device.expires_at,
            device.interval_seconds,
            replace(kept, client=known, device=device).as_secret(),
        )

    def advance(self, settings: Mapping[str, str], state: Secret, region: str) -> ApprovalStatus:
        kept, where = PortalState.read(state), settings.get("sso_region", "")
        problem = _waiting("ApprovalNeeded")
        again: int | None = None
        device = kept.device
        if device and kept.client:
            match center.create_token(kept.client, where, device_code=device.device_code):
                case Tokens() as tokens:
                    kept = replace(kept, device=None, tokens=tokens)
                case NotYet.PENDING:
                    again, problem = device.interval_seconds, _waiting("ApprovalPending")
                case NotYet.SLOW_DOWN:
                    again = min(device.interval_seconds + SLOWER_SECONDS, SLOWEST_SECONDS)
                    problem = _waiting("ApprovalPending")
                    kept = replace(kept, device=replace(device, interval_seconds=again))
                case NotYet.UNKNOWN_CLIENT | NotYet.UNAUTHORIZED_CLIENT:
                    kept = replace(kept, client=None, device=None)
                case refused:
                    codes = {NotYet.EXPIRED: "ApprovalExpired", NotYet.DENIED: "ApprovalDenied"}
                    problem = _waiting(codes.get(refused, "ApprovalNeeded"))
                    kept = replace(kept, device=None)
        if kept.tokens and not kept.has_live_token():
            kept = replace(kept, tokens=_renewed(kept.client, kept.tokens, where))
        return ApprovalStatus(
            kept.as_secret(),
            None if kept.has_live_token() else problem,
            again,
            good_until=kept.good_until(),
        )

    def choices(
        self, name: str, settings: Mapping[str, str], state: Secret, region: str
    ) -> tuple[Choice, ...]:
        token, where = _live_token(state), settings.get("sso_region", "")
        try:
            match name:
                case "account_id":
                    return tuple(
                        Choice(each.id, f"{each.name} ({each.id})" if each.name else each.id)
                        for each in center.list_accounts(token, where)
                    )
                case "role_name":
                    account = settings.get("account_id", "")
                    if not account:
                        raise _waiting("ChoiceNeeded")
                    return tuple(
                        Choice(each, each)
                        for each in center.list_account_roles(token, account, where)
                    )
                case _:
                    return super().choices(name, settings, state, region)
        except AwsError as error:
            raise _explained(error) from None

    def get_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """Return the chosen role's credentials for the person whose state `approval` is."""
        token = _live_token(answers.get("approval"))
        account, role = settings.get("account_id"), settings.get("role_name")
        if not account or not role:
            raise _waiting("ChoiceNeeded")
        try:
            return center.role_credentials(token, account, role, settings.get("sso_region", ""))
        except AwsError as error:
            raise _explained(error) from None

    def asks_sts(self, settings: Mapping[str, str]) -> bool:
        return False

    def account(self, settings: Mapping[str, str]) -> str:
        return settings.get("account_id", "")

    def summary(self, settings: Mapping[str, str]) -> str:
        chosen = (settings.get("account_id"), settings.get("role_name"))
        return " / ".join(part for part in chosen if part) or settings.get("start_url", "")


def _live_token(state: Secret | None) -> Secret:
    kept = PortalState.read(state)
    if kept.tokens is None or kept.tokens.expires_at <= datetime.now(UTC):
        raise _waiting("ApprovalNeeded")
    return kept.tokens.access_token


def _renewed(known: Registration | None, tokens: Tokens, region: str) -> Tokens | None:
    """Get new tokens by the old ones' refresh token; None if the person has to approve again."""
    if known is None or tokens.refresh_token is None:
        return None
    answer = center.create_token(known, region, refresh_token=tokens.refresh_token)
    if answer is NotYet.SLOW_DOWN:
        raise Throttled(
            answer.value,
            0,
            "Identity Center limits the calls.",
            "AWS limits the calls. Workers retry automatically.",
        )
    if not isinstance(answer, Tokens):
        return None
    # The endpoint may leave the refresh token as it was.
    return answer if answer.refresh_token else replace(answer, refresh_token=tokens.refresh_token)


def _waiting(code: str) -> WaitingForPerson:
    message, check = _WAITING[code]
    return WaitingForPerson(code, 0, message, check)


_WAITING = {
    "ApprovalNeeded": (
        "You have not approved access through Identity Center.",
        "Log in with Identity Center.",
    ),
    "ApprovalPending": (
        "Waiting for your approval.",
        "Open the page, compare the code and allow access.",
    ),
    "ApprovalExpired": (
        "You did not approve the page in time.",
        "Log in with Identity Center again.",
    ),
    "ApprovalDenied": (
        "You denied access on the page.",
        "Log in with Identity Center again and allow access.",
    ),
    "ChoiceNeeded": (
        "No account and role are chosen yet.",
        "Choose them from the lists of Identity Center, in the session's form.",
    ),
}


def _explained(error: AwsError) -> AwsError:
    """Reword an error so that it fits a portal."""
    match error.code:
        case "UnauthorizedException":
            return _waiting("ApprovalNeeded")
        case "ForbiddenException" | "AccessDeniedException" | "ResourceNotFoundException":
            return Rejected(
                error.code,
                0,
                "Identity Center does not assign you this role in this account.",
                "Check the assignment in Identity Center, or choose another account or role.",
            )
        case "InvalidRequestException":
            return Rejected(
                error.code,
                0,
                "Identity Center rejected the request.",
                "Check the start URL, the Identity Center region, the account and the role.",
            )
        case _:
            return error


register(IdentityCenter())
