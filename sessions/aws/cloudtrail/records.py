"""Hold one CloudTrail record, in the same form whatever file, tool or SIEM it comes from.

Absent text is "". Times are in UTC. A record holds no secret: session tokens are never read.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sessions.aws.cloudtrail.issued import ISSUERS, Issued, issued_of
from sessions.aws.cloudtrail.values import (
    as_dict,
    mapping,
    message,
    moment,
    plain_mapping,
    text,
    truth,
)

SIGN_IN = "AwsConsoleSignIn"
INSIGHT = "AwsCloudTrailInsight"
# A script may ask for a console link: no console has been opened by that.
NOT_IN_CONSOLE = frozenset({"GetSigninToken"})

_ASSUMED_ROLE = re.compile(r"arn:[a-z0-9-]+:sts::([^:]*):assumed-role/(.+)/([^/]*)", re.DOTALL)
_ROLE_ASKED = re.compile(r"on resource: (arn:[a-z0-9-]+:iam::[0-9]*:role/[!-~]+)")
_CONSOLE_AGENT = re.compile(
    r"(signin|console|[a-z0-9.-]+\.console|console\.[a-z0-9.-]+)\.(amazonaws|aws\.amazon)\.com"
    r"|AWSConsole\b.*|\[S3Console/.*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Where:
    """Place a record in its source: file as named, line and column from 1, index from 0."""

    file: str = ""
    line: int = 1
    column: int = 1
    index: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Hold a record's userIdentity.

    For a role session `role_name` is that of sessionIssuer, for AWS never puts a role's path into
    a session's ARN and some copies do; `session_name` is the ARN's last part, or the principal
    id's. `on_behalf_of` is a user id of Identity Center. `created_at` is when the session began.
    `delegate` is the account of a product's provider that acts with access delegated to it.
    """

    type: str = ""
    principal_id: str = ""
    arn: str = ""
    account: str = ""
    access_key_id: str = ""
    user_name: str = ""
    role_name: str = ""
    role_arn: str = ""
    session_name: str = ""
    source_identity: str = ""
    created_at: datetime | None = None
    on_behalf_of: str = ""
    sign_in_session_arn: str = ""
    credential_id: str = ""
    identity_provider: str = ""
    issuer_type: str = ""
    issuer_arn: str = ""
    issuer_user_name: str = ""
    federated_provider: str = ""
    ec2_role_delivery: str = ""
    credentials_issued_to: str = ""
    delegate: str = ""
    mfa: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one record: who called what, from where, with which result.

    `issued` is the session that the call made, None where it made none. `switch_from` is the ARN
    that a console left by Switch Role. `refused_role` is the role that a refused call asked for.
    `failed`: AWS answered with an error, or a sign-in did not succeed.
    `user_named` is the name typed where the identity has none, as at Identity Center's login.
    `read_only`: what CloudTrail says of the call, None where it does not.
    `unreadable` names the fields that hold something else than CloudTrail writes there.
    """

    event_id: str = ""
    shared_event_id: str = ""
    request_id: str = ""
    event_name: str = ""
    event_source: str = ""
    event_type: str = ""
    event_time: datetime | None = None
    region: str = ""
    recipient_account: str = ""
    source_address: str = ""
    user_agent: str = ""
    invoked_by: str = ""
    error_code: str = ""
    error_message: str = ""
    from_console: bool = False
    identity: Identity = field(default_factory=Identity)
    issued: Issued | None = None
    switch_from: str = ""
    refused_role: str = ""
    user_named: str = ""
    failed: bool = False
    read_only: bool | None = None
    request: Mapping[str, object] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    where: Where = field(default_factory=Where)

    @property
    def call_id(self) -> str:
        """Return what the copies of one call in several accounts have in common; "" if nothing."""
        return self.shared_event_id or self.event_id or self.request_id


def record_of(raw: Mapping[str, object], where: Where) -> Record:
    """Read one record from CloudTrail's JSON. Never raises: what cannot be read is absent."""
    found = mapping(dict(raw))
    user_identity = mapping(found.get("userIdentity"))
    extra = mapping(found.get("additionalEventData"))
    request = as_dict(found.get("requestParameters"))
    response = mapping(found.get("responseElements"))
    event_name, event_type = text(found.get("eventName")), text(found.get("eventType"))
    if not event_type and (found.get("insightDetails") or found.get("eventCategory") == "Insight"):
        event_type = INSIGHT
    event_time = moment(found.get("eventTime")) or moment(found.get("@timestamp"))
    identity = _identity(user_identity, extra)
    error_code, error_message = text(found.get("errorCode")), message(found.get("errorMessage"))
    # A sign-in that failed has no code: its message or its answer says so.
    details = mapping(found.get("serviceEventDetails"))
    outcomes = text(response.get(event_name)), text(details.get(event_name))
    failed = bool(error_code or error_message) or "Failure" in outcomes
    invoked_by = text(user_identity.get("invokedBy"))
    return Record(
        event_id=text(found.get("eventID")),
        shared_event_id=text(found.get("sharedEventID")),
        request_id=text(found.get("requestID")),
        event_name=event_name,
        event_source=text(found.get("eventSource")),
        event_type=event_type,
        event_time=event_time,
        region=text(found.get("awsRegion")),
        recipient_account=text(found.get("recipientAccountId")),
        source_address=text(found.get("sourceIPAddress")),
        user_agent=message(found.get("userAgent")),
        invoked_by=invoked_by,
        error_code=error_code,
        error_message=error_message,
        from_console=_from_console(found, user_identity, event_name, event_type),
        identity=identity,
        issued=None
        if failed
        else issued_of(
            event_name,
            mapping(request),
            response,
            details,
            event_time,
        ),
        switch_from=text(extra.get("SwitchFrom")),
        refused_role=_role_refused(event_name, mapping(request), error_message) if failed else "",
        user_named=text(extra.get("UserName")),
        failed=failed,
        read_only=truth(found.get("readOnly")) if text(found.get("readOnly")) else None,
        request=plain_mapping(request),
        unreadable=tuple(_unreadable(found, user_identity, event_time, identity.created_at)),
        where=where,
    )


def _role_refused(event_name: str, request: dict[str, object], error_message: str) -> str:
    """Return the role that a refused call asked for; the message alone names it at times."""
    if event_name not in ISSUERS:
        return ""
    in_message = _ROLE_ASKED.search(error_message)
    return text(request.get("roleArn")) or (in_message[1] if in_message else "")


def _identity(found: dict[str, object], extra: dict[str, object]) -> Identity:
    context = mapping(found.get("sessionContext"))
    attributes = mapping(context.get("attributes"))
    issuer = mapping(context.get("sessionIssuer"))
    principal_id, arn = text(found.get("principalId")), text(found.get("arn"))
    account = text(found.get("accountId")) or "".join(arn.split(":", 5)[4:5])
    issuer_arn = text(issuer.get("arn"))
    role_name, session_name, role_arn = "", "", ""
    if in_arn := _ASSUMED_ROLE.fullmatch(arn):
        role_name, session_name = in_arn[2].rpartition("/")[2], in_arn[3]
        role_arn = f"{arn.partition(':sts:')[0]}:iam::{in_arn[1]}:role/{role_name}"
    elif text(found.get("type")) in {"AssumedRole", "AWSAccount", "FederatedUser", ""}:
        session_name = principal_id.partition(":")[2]
    for of_role in (issuer_arn, arn):
        if ":role/" in of_role:
            role_arn, role_name = of_role, of_role.rpartition("/")[2]
            break
    if ":role/" in issuer_arn:
        role_name = text(issuer.get("userName")) or role_name
    return Identity(
        type=text(found.get("type")),
        principal_id=principal_id,
        arn=arn,
        account=account,
        access_key_id=text(found.get("accessKeyId")),
        user_name=text(found.get("userName")),
        role_name=role_name,
        role_arn=role_arn,
        session_name=session_name,
        source_identity=text(context.get("sourceIdentity")) or text(found.get("sourceIdentity")),
        created_at=moment(attributes.get("creationDate")) or moment(context.get("creationDate")),
        on_behalf_of=text(mapping(found.get("onBehalfOf")).get("userId"))
        or text(extra.get("identitystore:UserId")),
        sign_in_session_arn=text(context.get("signInSessionArn"))
        or text(attributes.get("signInSessionArn"))
        or text(extra.get("signInSessionArn")),
        credential_id=text(found.get("credentialId")),
        identity_provider=text(found.get("identityProvider")),
        issuer_type=text(issuer.get("type")),
        issuer_arn=issuer_arn,
        issuer_user_name=text(issuer.get("userName")),
        federated_provider=text(
            mapping(context.get("webIdFederationData")).get("federatedProvider")
        ),
        ec2_role_delivery=text(context.get("ec2RoleDelivery")),
        delegate=text(mapping(found.get("invokedByDelegate")).get("accountId")),
        credentials_issued_to=text(mapping(found.get("inScopeOf")).get("credentialsIssuedTo")),
        mfa=truth(attributes.get("mfaAuthenticated")) or truth(context.get("mfaAuthenticated")),
    )


def identity_of_arn(arn: str) -> Identity:
    """Return what an ARN alone says of an identity, as of the one a console switched from."""
    return _identity({"arn": arn, "userName": _user_in(arn)}, {})


def _user_in(arn: str) -> str:
    return arn.partition(":user/")[2].rpartition("/")[2]


def _from_console(
    found: dict[str, object], identity: dict[str, object], event_name: str, event_type: str
) -> bool:
    """Tell if the call came from the AWS console. The flag's place differs between copies."""
    if event_type in {SIGN_IN, "AwsConsoleAction"}:
        return event_name not in NOT_IN_CONSOLE
    context = mapping(identity.get("sessionContext"))
    places = found, identity, context, mapping(context.get("attributes"))
    if any(truth(place.get("sessionCredentialFromConsole")) for place in places):
        return True
    agents = identity.get("invokedBy"), found.get("sourceIPAddress"), found.get("userAgent")
    return any(_CONSOLE_AGENT.fullmatch(message(agent)) for agent in agents)


def _unreadable(
    found: dict[str, object],
    identity: dict[str, object],
    event_time: datetime | None,
    created_at: datetime | None,
) -> list[str]:
    wrong = []
    if event_time is None and text(found.get("eventTime")):
        wrong.append("eventTime")
    context = mapping(identity.get("sessionContext"))
    if created_at is None and text(mapping(context.get("attributes")).get("creationDate")):
        wrong.append("creationDate")
    for name in ("userIdentity", "requestParameters", "responseElements", "additionalEventData"):
        value = found.get(name)
        present = bool(message(value)) or (isinstance(value, list) and len(value) > 1)
        if present and not as_dict(value):
            wrong.append(name)
    return wrong
