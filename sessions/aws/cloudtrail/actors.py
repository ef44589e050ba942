"""Name who is behind a call: a person and the field that says so, a service, a program, nobody."""

from dataclasses import dataclass
from enum import StrEnum

from sessions.aws.cloudtrail.records import INSIGHT, Identity, Record, identity_of_arn
from sessions.aws.cloudtrail.session_names import Says, is_instance, is_masked, says

_NAMED = frozenset({Says.ADDRESS, Says.HANDLE})
_IN_PROGRAM = ("exec-env/AWS_Lambda", "exec-env/AWS_ECS", "exec-env/AWS_BATCH")


class Actor(StrEnum):
    """Name the kinds of actors. `NO_CALL` stands on records that are statistics."""

    PERSON = "person"
    SERVICE = "service"
    WORKLOAD = "workload"
    ROOT = "root"
    NOBODY = "nobody"
    NO_CALL = "no call"


class NamedBy(StrEnum):
    """Name the fields that tell a person or a program."""

    IAM_USER = "IAM user name"
    IDENTITY_CENTER_NAME = "Identity Center user name"
    IDENTITY_CENTER_ID = "Identity Center user id"
    SOURCE_IDENTITY = "source identity"
    SESSION_NAME = "role session name"
    FEDERATED_USER = "federated user name"
    SUBJECT = "identity provider's subject"
    INVOKED_BY = "service that made the call"
    DELEGATE = "account of the product's provider"
    FUNCTION = "function or service that holds the role"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Who:
    """Hold who acted, by which field. `sure`: AWS vouches for the name; nobody typed it freely."""

    actor: Actor
    name: str = ""
    named_by: NamedBy = NamedBy.NOTHING
    sure: bool = False


NOBODY = Who(Actor.NOBODY)


def who_of(record: Record) -> Who:
    """Tell who made a call. For Switch Role that is who left the console's former identity."""
    if record.event_type == INSIGHT:
        return Who(Actor.NO_CALL)
    if record.switch_from:
        left = identity_of_arn(record.switch_from)
        return _role(record, left) if left.role_name else _by_arn(record, left)
    identity = record.identity
    if identity.delegate:
        return Who(Actor.WORKLOAD, identity.delegate, NamedBy.DELEGATE, sure=True)
    match identity.type:
        case "AssumedRole" | "Role":
            return _role(record, identity)
        case "IAMUser":
            return _user(identity)
        case "Root":
            return Who(Actor.ROOT, sure=True)
        case "AWSService":
            return _service(record.invoked_by or record.source_address)
        case "IdentityCenterUser":
            return _identity_center_user(record)
        case "AWSAccount":
            return _other_account(record)
        case "FederatedUser":
            return _chosen(identity.session_name, NamedBy.FEDERATED_USER)
        case "SAMLUser":
            return _chosen(identity.user_name, NamedBy.SUBJECT)
        case "WebIdentityUser":
            return _web_identity(record)
        case "":
            return _by_arn(record, identity)
    return _by_name(record)


def source_identity_of(record: Record) -> str:
    """Return the source identity of the session, or that which the call sets for the next."""
    return (
        record.identity.source_identity
        or (record.issued.source_identity if record.issued else "")
        or _asked(record, "sourceIdentity")
    )


def is_identity_center(identity: Identity) -> bool:
    """Tell if a role session is one of Identity Center: its name is the user's there."""
    return (
        identity.role_name.startswith("AWSReservedSSO_")
        or ":role/aws-reserved/sso.amazonaws.com/" in identity.role_arn
    )


def _role(record: Record, identity: Identity) -> Who:
    name = identity.session_name
    if is_identity_center(identity) and name and not is_masked(name):
        return Who(Actor.PERSON, name, NamedBy.IDENTITY_CENTER_NAME, sure=True)
    if _is_service_linked(identity):
        return _service(record.invoked_by or _linked_service(identity) or identity.role_name)
    if identity.credentials_issued_to:
        return Who(Actor.WORKLOAD, identity.credentials_issued_to, NamedBy.FUNCTION, sure=True)
    if identity.on_behalf_of:
        return Who(Actor.PERSON, identity.on_behalf_of, NamedBy.IDENTITY_CENTER_ID, sure=True)
    by_source_identity = _chosen(source_identity_of(record), NamedBy.SOURCE_IDENTITY)
    if by_source_identity.actor is not Actor.NOBODY:
        return by_source_identity
    by_name = _chosen(name, NamedBy.SESSION_NAME)
    if says(name) is Says.ADDRESS:
        return by_name
    if is_instance(name) or identity.ec2_role_delivery or identity.federated_provider:
        return Who(Actor.WORKLOAD, name, NamedBy.SESSION_NAME)
    if by_name.actor is Actor.PERSON and _runs_as_program(record, identity):
        return Who(Actor.WORKLOAD, name, NamedBy.SESSION_NAME)
    if by_name.actor is not Actor.PERSON and _is_service(record.invoked_by):
        return _service(record.invoked_by)
    return by_name


def _runs_as_program(record: Record, identity: Identity) -> bool:
    """Tell if a session with a plain name is a function's: its role is named after it, or its SDK
    says where it runs."""
    named_after = identity.role_name.startswith(f"{identity.session_name}-")
    return named_after or any(mark in record.user_agent for mark in _IN_PROGRAM)


def _user(identity: Identity) -> Who:
    name = identity.user_name or identity.arn.partition(":user/")[2].rpartition("/")[2]
    if not name or is_masked(name):
        return NOBODY
    return Who(Actor.PERSON, name, NamedBy.IAM_USER, sure=True)


def _service(name: str) -> Who:
    return Who(Actor.SERVICE, name, NamedBy.INVOKED_BY, sure=True)


def _is_service(name: str) -> bool:
    return name.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _is_service_linked(identity: Identity) -> bool:
    return ":role/aws-service-role/" in identity.role_arn or identity.role_name.startswith(
        "AWSServiceRole"
    )


def _linked_service(identity: Identity) -> str:
    service = identity.role_arn.partition(":role/aws-service-role/")[2].partition("/")[0]
    return service if _is_service(service) else ""


def _identity_center_user(record: Record) -> Who:
    name = record.identity.user_name or record.user_named
    if name and not is_masked(name):
        return Who(Actor.PERSON, name, NamedBy.IDENTITY_CENTER_NAME, sure=True)
    if user_id := record.identity.on_behalf_of:
        return Who(Actor.PERSON, user_id, NamedBy.IDENTITY_CENTER_ID, sure=True)
    return NOBODY


def _other_account(record: Record) -> Who:
    by_source_identity = _chosen(source_identity_of(record), NamedBy.SOURCE_IDENTITY)
    if by_source_identity.actor is not Actor.NOBODY:
        return by_source_identity
    return _chosen(record.identity.session_name, NamedBy.SESSION_NAME)


def _web_identity(record: Record) -> Who:
    """Read OIDC: a program, unless the session is named by somebody's address."""
    session_name = record.issued.session_name if record.issued else ""
    session_name = session_name or _asked(record, "roleSessionName")
    if says(session_name) is Says.ADDRESS:
        return Who(Actor.PERSON, session_name, NamedBy.SESSION_NAME)
    return Who(Actor.WORKLOAD, record.identity.user_name or session_name, NamedBy.SUBJECT)


def _by_arn(record: Record, identity: Identity) -> Who:
    """Read an identity without a type."""
    if identity.role_name:
        return _role(record, identity)
    if ":user/" in identity.arn:
        return _user(identity)
    if identity.arn.endswith(":root"):
        return Who(Actor.ROOT, sure=True)
    if record.invoked_by:
        return _service(record.invoked_by)
    # LookupEvents' Username is a user's, or the name of a role session.
    return _chosen(identity.user_name, NamedBy.SESSION_NAME)


def _by_name(record: Record) -> Who:
    """Read a type that is not known; "Unknown" is Identity Center's portal in older records."""
    name = record.identity.user_name
    if not name or is_masked(name):
        return _by_arn(record, record.identity)
    if record.event_source.startswith(("sso", "signin")):
        return Who(Actor.PERSON, name, NamedBy.IDENTITY_CENTER_NAME, sure=True)
    return _chosen(name, NamedBy.SUBJECT)


def _chosen(name: str, named_by: NamedBy) -> Who:
    """Judge a name that somebody chose freely."""
    said = says(name)
    if said in _NAMED:
        return Who(Actor.PERSON, name, named_by)
    return Who(Actor.WORKLOAD, name, named_by) if said is Says.PROGRAM else NOBODY


def _asked(record: Record, name: str) -> str:
    value = record.request.get(name)
    return value if isinstance(value, str) else ""
