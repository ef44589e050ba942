"""Read which session a call made: its key, role, names and end."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sessions.aws.cloudtrail.values import items, mapping, moment, number, text, texts, within

# The calls that give credentials, or put a console into another role.
ISSUERS = frozenset(
    {
        "AssumeRole",
        "AssumeRoleForPodIdentity",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "CreateOAuth2Token",
        "CreateSession",
        "GetCredentialsForIdentity",
        "GetDelegatedAccessToken",
        "GetFederationToken",
        "GetRoleCredentials",
        "GetScopedCredentials",
        "GetSessionToken",
        "GetSigninToken",
        "SwitchRole",
    }
)
# Their credentials are further ones of the session that asks: no hop.
SAME_SESSION = frozenset({"CreateOAuth2Token", "GetScopedCredentials", "GetSigninToken"})
# GetSessionToken and GetFederationToken give 36 hours, all others less.
LONGEST = timedelta(hours=37)


@dataclass(frozen=True, slots=True)
class Issued:
    """Hold what a successful call gave, as its request and answer say.

    `expiration` is AWS's text, `expires_at` its time in UTC: None where the text is no time that a
    session made at the event's time can have. `tags` are those sent, `inherited_tags` those that
    came along. `account` is AssumeRoot's target or that of a permission set. `same_session`: these
    are further credentials of the session that asked.
    """

    by: str
    access_key_id: str = ""
    assumed_role_arn: str = ""
    assumed_role_id: str = ""
    role_arn: str = ""
    session_name: str = ""
    source_identity: str = ""
    expiration: str = ""
    expires_at: datetime | None = None
    duration_seconds: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    inherited_tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    account: str = ""
    permission_set: str = ""
    subject: str = ""
    provider: str = ""
    same_session: bool = False


def issued_of(
    event_name: str,
    request: dict[str, object],
    response: dict[str, object],
    details: dict[str, object],
    event_time: datetime | None,
) -> Issued | None:
    """Read what a successful call gave; None where it gave no session, or nothing says which."""
    if event_name not in ISSUERS:
        return None
    # Roles Anywhere answers with a list of one; S3's calls of this name give no session.
    response = mapping(response.get("credentialSet")) or response
    if event_name == "CreateSession" and "assumedRoleUser" not in response:
        return None
    credentials = mapping(response.get("credentials"))
    user = mapping(response.get("assumedRoleUser")) or mapping(response.get("federatedUser"))
    expiration = text(credentials.get("expiration"))
    expires_at = moment(expiration)
    by_service = event_name == "GetRoleCredentials"
    assumed_role_id = text(user.get("assumedRoleId")) or text(user.get("federatedUserId"))
    found = Issued(
        by=event_name,
        access_key_id=text(credentials.get("accessKeyId")),
        assumed_role_arn=text(user.get("arn")),
        assumed_role_id=assumed_role_id,
        role_arn=text(request.get("roleArn")) or text(response.get("roleArn")),
        session_name=text(request.get("roleSessionName"))
        or text(request.get("name"))
        or assumed_role_id.partition(":")[2],
        source_identity=text(response.get("sourceIdentity")) or text(request.get("sourceIdentity")),
        expiration=expiration,
        expires_at=expires_at
        if event_time is None or within(event_time, expires_at, LONGEST)
        else None,
        duration_seconds=number(request.get("durationSeconds")),
        tags=(*items(request.get("tags")), *items(request.get("principalTags"))),
        inherited_tags=tuple(items(request.get("incomingTransitiveTags"))),
        transitive_tag_keys=texts(request.get("transitiveTagKeys")),
        account=text(request.get("targetPrincipal")) or text(details.get("accountId")),
        permission_set=_permission_set(details, request) if by_service else "",
        subject=text(response.get("subjectFromWebIdentityToken")) or text(response.get("subject")),
        provider=text(response.get("provider")) or text(response.get("issuer")),
        same_session=event_name in SAME_SESSION,
    )
    # SwitchRole and CreateOAuth2Token answer nothing: the identity tells the session.
    told_elsewhere = found.same_session or event_name == "SwitchRole"
    return found if told_elsewhere or _says_something(found) else None


def _permission_set(details: dict[str, object], request: dict[str, object]) -> str:
    for place in (details, request):
        for name in ("role_name", "roleName"):
            if found := text(place.get(name)):
                return found
    return ""


def _says_something(found: Issued) -> bool:
    return bool(
        found.access_key_id
        or found.assumed_role_id
        or found.assumed_role_arn
        or found.role_arn
        or found.account
        or found.permission_set
    )
