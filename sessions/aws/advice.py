"""Word AWS's answers for people: what happened and what to check, in one or two sentences each."""

import re
import unicodedata
from collections.abc import Callable

from sessions.aws import proof, skew
from sessions.aws.arn import RoleArn
from sessions.aws.hop import Hop
from sessions.aws.proof import About, Answer, Asked, Call, Signer, Where
from sessions.aws.regions import is_opt_in

LONGEST_MESSAGE = 500
AGAIN = "this is tried again automatically."
NOT_AWS = "The response is not from AWS."
CHECK_THE_WAY = (
    "Check the connection from the workers to AWS: a proxy or firewall, or the endpoint in"
    " AWS_ENDPOINT_URL_…; " + AGAIN
)
CHECK_THE_CLOCK = f"Correct the clock of the workers' machine (NTP); {AGAIN}"
CHECK_FIELDS = "Check the session's fields."

_NOT_AUTHORIZED = re.compile(
    r"User: (?P<user>\S+) is not authorized to perform: (?P<action>\S+)(?: on resource:"
    r" (?P<resource>\S+))?"
)
_AUTHORIZATION_ID = re.compile(
    r"authorization id:?\s*[\"'“]?(?P<id>[A-Za-z0-9_:/+=-]{8,200})", re.ASCII | re.IGNORECASE
)
_ACCOUNT = re.compile(r"account:?\s*(?P<account>[0-9]{12})\b", re.ASCII)
_FIELD = re.compile(r" at '(?P<field>[A-Za-z.0-9]+)' failed", re.ASCII)
_PERCENT = re.compile(r"(?P<percent>\d+(?:\.\d+)?)\s*%", re.ASCII)
_FORM_FIELDS = {
    "rolearn": "Role ARN",
    "rolesessionname": "Role session name",
    "externalid": "External ID",
    "sourceidentity": "source identity",
    "serialnumber": "MFA serial",
    "tokencode": "code",
}
# AWS says of what kind the policy is that denies; the longest names first, since one is in the
# other.
_DENYING = (
    ("service control policy", "AWS names a service control policy (SCP) of the organization."),
    ("resource control policy", "AWS names a resource control policy (RCP) of the organization."),
    ("permissions boundary", "AWS names the caller's permissions boundary."),
    ("session policy", "AWS names the session policy of an earlier hop."),
    ("VPC endpoint policy", "AWS names the policy of the VPC endpoint on the way to STS."),
    ("identity-based policy", "AWS names the caller's own policies."),
    ("resource-based policy", "AWS names the role's trust policy."),
)


def clean(text: str) -> str:
    """Make one short line without anything invisible of an outside text."""
    shown = "".join(
        " " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 4 * LONGEST_MESSAGE]
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[: LONGEST_MESSAGE - 1]}…"


def on(
    answer: Answer, about: About, asked: Asked, hop_number: int, hop: Hop | None
) -> tuple[str, str]:
    """Say (what happened, what to check) of an answer at that hop."""
    source = _source(asked, hop_number)
    match about:
        case About.CLOCK:
            return skew.in_words(answer.skew), CHECK_THE_CLOCK
        case About.MOMENT:
            return _moment(answer)
        case About.CALLER if answer.code in proof.EXPIRED:
            return (
                "The credentials that this role is assumed from have expired.",
                (
                    "They are renewed automatically where possible; if this "
                    "continues, check the workers' clock."
                ),
            )
        case About.CALLER:
            return (
                f"AWS no longer knows {source}.",
                (
                    "They are renewed once automatically; if this continues, check "
                    "whether the role or user they belong to was deleted and created "
                    "again."
                )
                + _perhaps_not_enabled(asked),
            )
        case About.KEY if answer.code in proof.EXPIRED:
            return (
                "The workers' own AWS credentials have expired.",
                (
                    "Check the source that renews them: the workers' environment, or "
                    "their instance, task or pod role."
                ),
            )
        case About.REGION:
            return _region(answer, asked, source)
        case _:
            message = answer.message
            if answer.code in proof.QUOTING:
                message = "AWS calculated another signature for the request."
            return message, _what_to_check(answer, asked, source, hop)


def _source(asked: Asked, hop_number: int) -> str:
    match asked.signer:
        case Signer.ROOT_IDENTITY:
            return "the workers' own credentials"
        case Signer.ROOT_SESSION:
            return "the root's temporary credentials"
        case _:
            return "the root's key" if hop_number <= 1 else "the credentials of the previous hop"


def _moment(answer: Answer) -> tuple[str, str]:
    if answer.code in proof.THROTTLED or answer.status == 429:
        return answer.message, f"AWS limits the calls; {AGAIN}"
    if answer.code == proof.NO_CODE and answer.status < 500:
        said = (
            f"Something on the way to AWS answered with HTTP {answer.status}."
            if answer.status
            else NOT_AWS
        )
        return said, CHECK_THE_WAY
    return answer.message, f"AWS has a problem; {AGAIN}"


def _region(answer: Answer, asked: Asked, source: str) -> tuple[str, str]:
    caller = f"the calling account {asked.account}".rstrip()
    if answer.code in proof.WRONG_SIGNATURE and not proof.OTHER_REGION.search(answer.message):
        return (
            f"AWS in {asked.region} calculated another signature for the request.",
            _decided_at_home(source),
        )
    if answer.code in proof.WRONG_SIGNATURE:
        return (
            f"The endpoint that was called does not belong to the region {asked.region}.",
            (
                "Check AWS_ENDPOINT_URL_STS and the VPC endpoints on the way, or choose another STS"
                " region at the root."
            ),
        )
    if answer.code == "OptInRequired":
        return (
            f"AWS is not open to {caller}: {answer.message}",
            (
                "Check that the account's sign-up is complete (payment, verification) and that it"
                f" has enabled the region {asked.region}."
            ),
        )
    if answer.code == "RegionDisabledException":
        named = _ACCOUNT.search(answer.message)
        account = f"the account {named['account']}" if named else "the role's account"
        return (
            answer.message,
            (
                f"STS is not active in {asked.region or 'this region'} in {account}: activate it in"
                " IAM's account settings, or choose another STS region at the root."
            ),
        )
    if asked.where is not Where.OPT_IN:
        return f"AWS in {asked.region} does not know {source}.", _decided_at_home(source)
    return (
        f"The region {asked.region} is not enabled for {caller}.",
        (
            f"Enable {asked.region} in that account (Account, AWS Regions), or choose another STS"
            " region at the root. The credentials themselves may be valid."
        ),
    )


def _decided_at_home(source: str) -> str:
    return f"The call is repeated at the root's STS region, which decides whether {source} works."


def _perhaps_not_enabled(asked: Asked) -> str:
    if not is_opt_in(asked.region):
        return ""
    return f" Or the region {asked.region} is not enabled for their account."


def _what_to_check(answer: Answer, asked: Asked, source: str, hop: Hop | None) -> str:
    code, message = answer.code, answer.message
    if asked.call is Call.SCOPED and code in _SCOPING:
        return _SCOPING[code]
    if code in proof.DENIED:
        return _access_denied(message, asked, hop)
    if code in proof.UNKNOWN_KEY:
        partition = (
            f"AWS does not know {source}: deleted, disabled, or of another partition than the"
            " region."
        )
        return partition + _perhaps_not_enabled(asked)
    if code in proof.WRONG_SIGNATURE:
        return f"The secret of {source} is wrong; or a proxy on the way changes requests."
    if code in proof.EXPIRED:
        return f"AWS says that {source} has expired."
    if code in _CHECKS:
        return _CHECKS[code]
    if code in _BY_MESSAGE:
        return _BY_MESSAGE[code](message)
    return f"AWS's API reference explains this code under {asked.call}, or under Common Errors."


_USE_A_USER = "Create an IAM user, allow it to assume the role, and enter its key at the root."


def root_user(account: str) -> tuple[str, str]:
    """Say (what happened, what to check) of a key that turns out to be a root user's."""
    return (
        f"The key belongs to the root user of the account {account}, who may not assume any role.",
        _USE_A_USER,
    )


def _access_denied(message: str, asked: Asked, hop: Hop | None) -> str:
    if proof.ROOT_USER.search(message):
        return (
            f"The key belongs to an account's root user, who may not assume any role. {_USE_A_USER}"
        )
    if asked.call is Call.SESSION_TOKEN and proof.WRONG_CODE.search(message):
        return "The code, or the MFA serial, is not right; a code can be used only once."
    denied = _NOT_AUTHORIZED.search(message)
    action = denied["action"].rstrip(".,") if denied else "sts:AssumeRole"
    user = clean(denied["user"]) if denied else "the caller"
    names = [told for policy, told in _DENYING if policy in message][:1]
    if details := _AUTHORIZATION_ID.search(message):
        names.append(
            "For 24 h, iam-toolbox:GetRequestAuthorizationDetails names the statements, by the id "
            f"{details['id'].rstrip('.,')}."
        )
    if hop is None:
        return " ".join([f"Check that the policies of {user} allow {action}.", *names])
    conditions = [
        "external ID" if hop.external_id else "an external ID it may ask for",
        "MFA",
        "session name",
    ]
    if "SourceId" in action:
        names.append("A chain that carries a source identity needs that at every hop.")
    return " ".join(
        [
            (
                f"Check that the trust policy of {RoleArn.parse(hop.role_arn).name} lets {user} do"
                f" {action} (with its conditions: {', '.join(conditions)}), and that the caller's"
                " own policies, boundary and SCPs allow it."
            ),
            *names,
        ]
    )


def _invalid(message: str) -> str:
    if "role chaining" in message or "MaxSessionDuration" in message:
        return "The role allows less than the requested hour: check its maximum session duration."
    field = _FIELD.search(message)
    known = _FORM_FIELDS.get(field["field"].lower()) if field else None
    return f"Check the session's {known}." if known else CHECK_FIELDS


def _invalid_value(message: str) -> str:
    if "transitive tag key" in message and "conflict" in message:
        return (
            "An earlier hop passes on a tag with this key, so later hops "
            "cannot send it. Remove it from one of them."
        )
    if "tag" in message.lower():
        return (
            "Check the session's tags: no two keys may differ in case alone, and a transitive key"
            " must be a tag's."
        )
    return CHECK_FIELDS


def _too_large(message: str) -> str:
    size = _PERCENT.search(message)
    if not size:
        return "Policies and tags together are too large: shorten them."
    return f"Policies and tags together take {size['percent']} % of the limit: shorten them."


_BY_MESSAGE: dict[str, Callable[[str], str]] = {
    "ValidationError": _invalid,
    "ValidationException": _invalid,
    "InvalidParameterValue": _invalid_value,
    "InvalidParameterCombination": _invalid_value,
    "PackedPolicyTooLarge": _too_large,
    "PackedPolicyTooLargeException": _too_large,
}
_MAY_NOT_SCOPE = (
    "Check that the role's policies, its boundary and the SCPs allow sts:GetScopedCredentials;"
    " or let the team's policy do without scoping."
)
_NO_SCOPING_HERE = (
    "STS in this region or partition does not offer GetScopedCredentials: let the team's policy do"
    " without scoping."
)
_ENDS_TOO_SOON = "The role's session ends too soon: rotate it, and check the workers' clock."
_SCOPED_POLICY = (
    "Check the limits for delivered credentials in the team's policy: AWS does not take them."
)
_SCOPING = {
    "AccessDenied": _MAY_NOT_SCOPE,
    "AccessDeniedException": _MAY_NOT_SCOPE,
    "InvalidAction": _NO_SCOPING_HERE,
    "UnknownOperationException": _NO_SCOPING_HERE,
    "InvalidSubjectCredentials": _MAY_NOT_SCOPE,
    "InvalidSubjectCredentialsException": _MAY_NOT_SCOPE,
    "InsufficientSessionLifetime": _ENDS_TOO_SOON,
    "InsufficientSessionLifetimeException": _ENDS_TOO_SOON,
    "MalformedPolicyDocument": _SCOPED_POLICY,
    "MalformedPolicyDocumentException": _SCOPED_POLICY,
    "PackedPolicyTooLarge": _SCOPED_POLICY,
    "PackedPolicyTooLargeException": _SCOPED_POLICY,
    "ValidationError": _SCOPED_POLICY,
}
_SIGNING = "Check whether a proxy on the way removes or changes headers of the request."
_NO_SUCH_CALL = "Check AWS_ENDPOINT_URL_…: the service there does not know this call."
_CHECKS = {
    "AuthFailure": (
        "AWS could not validate the credentials: check the key, that the account is active and has"
        " enabled the region, and the workers' clock."
    ),
    "IncompleteSignature": _SIGNING,
    "MissingAuthenticationToken": _SIGNING,
    "MissingAuthenticationTokenException": _SIGNING,
    "MalformedHttpRequestException": _SIGNING,
    "MalformedQueryString": _SIGNING,
    "InvalidAction": _NO_SUCH_CALL,
    "InvalidQueryParameter": _NO_SUCH_CALL,
    "UnknownOperationException": _NO_SUCH_CALL,
    "MissingAction": _NO_SUCH_CALL,
    "MissingParameter": CHECK_FIELDS,
    "NotAuthorized": "Check that the policies of the caller allow this call.",
    "UnauthorizedOperation": "Check that the policies of the caller allow this call.",
    "RequestEntityTooLargeException": "The request is too large: shorten policies and tags.",
    "MalformedPolicyDocument": "The session policy is not a valid policy.",
    "MalformedPolicyDocumentException": "The session policy is not a valid policy.",
    "NoSuchEntity": "Check in IAM whether the user and its keys still exist.",
    "LimitExceeded": "An IAM quota is reached: delete something in IAM.",
    "InvalidInput": "Check in IAM whether the user and its keys are unchanged.",
    "InvalidIdentityToken": (
        "Check that IAM knows the token's issuer as an identity provider, with the token's"
        " audience."
    ),
    "IDPRejectedClaim": "The identity provider no longer accepts this token: check its issuer.",
    "InvalidClientException": (
        "Identity Center no longer knows Chainweb as a client: log in with it again."
    ),
    "UnauthorizedClientException": (
        "Identity Center does not allow Chainweb to log people in. Ask its administrator."
    ),
    "InvalidClientMetadataException": (
        "Identity Center does not accept Chainweb as a client: check its region."
    ),
    "InvalidScopeException": (
        "Identity Center does not know the scope sso:account:access: check its region."
    ),
    "InvalidGrantException": "The approval was used or revoked: log in with Identity Center again.",
    "InvalidRequestRegionException": (
        "Identity Center is in another region: check its region at the root."
    ),
    "UnauthorizedException": "The login has ended: log in with Identity Center again.",
    "ResourceNotFoundException": "Check the account and the role at the root.",
}
