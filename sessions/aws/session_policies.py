"""Validate session policies, which narrow a session, and the networks it may be used from.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

import ipaddress
import json
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sessions.aws.arn import RoleArn
from sessions.aws.characters import outsider, shown, unseen_in
from sessions.aws.names import InvalidName

# Of the inline policy and the ARNs of the managed ones together, in plain text; what AWS packs has
# a limit of its own.
LONGEST_POLICY = 2048
MOST_POLICY_ARNS = 10
MOST_NETWORKS = 20
# A statement's conditions are five levels down. What is read with a short stack has to be readable
# with a long one.
DEEPEST_POLICY = 20

_STATEMENT_PARTS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"},
)
# The model's own: the tab, both line ends, and what is printable of Latin-1.
_POLICY_CHARACTER = re.compile(r"[\t\n\r\u0020-\u00ff]*")
_POLICY_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]{0,30}):iam::(?P<account>aws|[0-9]{12}):policy"
    r"/(?:[!-.0-~]{1,510}/)*[A-Za-z0-9_+=,.@-]{1,128}",
    re.ASCII,
)
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}", re.ASCII)
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def validate_session_policy(text: str) -> str:
    """Return an inline session policy in its shortest form.

    Raises `InvalidName` for what AWS would not take.
    """
    if not _POLICY_CHARACTER.fullmatch(text):
        stray = next(each for each in text if not _POLICY_CHARACTER.fullmatch(each))
        raise InvalidName(
            "A session policy is made of printable characters up to ÿ (U+00FF); this one has"
            f" {shown(stray)}."
        )
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        nested_too_deeply = _is_deeper_than(DEEPEST_POLICY, document)
    except json.JSONDecodeError as error:
        found = unseen_in(error.doc[error.pos : error.pos + 1]).partition(" at ")[0]
        what = f"; {found} is there" if found else ""
        raise InvalidName(
            f"This is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}{what}."
        ) from None
    except RecursionError:
        nested_too_deeply = True
    if nested_too_deeply:
        raise InvalidName("This is nested too deeply for a policy.")
    _check_document(document)
    policy = _as_text(document)
    if len(policy) > LONGEST_POLICY:
        raise InvalidName(
            f"A session policy has at most {LONGEST_POLICY} characters; without blanks this one has"
            f" {len(policy)}."
        )
    return policy


def validate_policy_arn(text: str) -> str:
    """Check the ARN of a managed policy, AWS's own or an account's."""
    if len(text) > 2048 or not _POLICY_ARN.fullmatch(text):
        where = outsider(text, string.punctuation)
        raise InvalidName(
            f"A managed policy looks like arn:aws:iam::aws:policy/ReadOnlyAccess{where}."
        )
    return text


def validate_policy_arns(arns: Iterable[str], role: RoleArn | None = None) -> tuple[str, ...]:
    """Return up to ten managed policies, each once.

    With `role`, they are of its account and partition, or AWS's own there.
    """
    checked = tuple(validate_policy_arn(arn) for arn in arns)
    if len(checked) > MOST_POLICY_ARNS:
        raise InvalidName(
            f"There can be at most {MOST_POLICY_ARNS} managed policies beside the inline one."
        )
    if len(set(checked)) < len(checked):
        raise InvalidName("A managed policy is there twice.")
    for arn in checked if role else ():
        match = _POLICY_ARN.fullmatch(arn)
        if (
            match
            and role
            and (match["partition"], match["account"])
            not in {
                (role.partition, "aws"),
                (role.partition, role.account),
            }
        ):
            raise InvalidName(
                f"{arn} is not of the role's account {role.account}; AWS accepts only policies from"
                " there and its own."
            )
    return checked


def validate_network(text: str) -> str:
    """Validate a network: an address, a range or a VPC.

    It is a public address or range, a VPC's id, or a private range inside such VPCs.
    """
    if _VPC.fullmatch(text):
        return text
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise InvalidName(
            "A network is an address or a range like 203.0.113.0/24 or 2001:db8::/32 (with zeros"
            f" after its prefix), or a VPC like vpc-0a1b2c3d4e5f60718{outsider(text, './:-')}."
        ) from None
    if network.prefixlen == 0:
        raise InvalidName(f"{network} is every address: that binds nothing.")
    if network.is_loopback or network.is_link_local or network.is_multicast:
        raise InvalidName(f"AWS sees no caller with an address of {network}.")
    return str(network)


def validate_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Validate a list of networks to bind to.

    A private range alone is refused: every VPC in the world may have it.
    """
    checked = tuple(dict.fromkeys(validate_network(text) for text in texts))
    if len(checked) > MOST_NETWORKS:
        raise InvalidName(f"There can be at most {MOST_NETWORKS} networks.")
    sorted_out = _sort_out(checked)
    if sorted_out.private and not sorted_out.vpcs:
        raise InvalidName(
            f"{sorted_out.private[0]} is a private range, which anybody's VPC may have: name the"
            " VPC (vpc-…) as well."
        )
    return checked


def bind_to_networks(
    policy: str, policy_arns: Sequence[str], lists: Iterable[Sequence[str]]
) -> str:
    """Add to the inline policy a denial of every call from outside each list.

    Without lists it is unchanged.

    A call made by an AWS service on behalf of the session is not denied: its address is the
    service's own. Without a policy that allows anything, one that allows everything is put beside
    it, which leaves what the role itself may do.
    """
    denials = [statement for networks in lists if networks for statement in _denials(networks)]
    if not denials:
        return policy
    allowing = (
        [] if policy or policy_arns else [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    )
    return with_statements(policy, [*allowing, *denials])


def with_statements(policy: str, more: Sequence[Mapping[str, Any]]) -> str:
    """Add statements to a policy, which may be empty; without any it is unchanged."""
    if not more:
        return policy
    document = json.loads(policy) if policy else {"Version": "2012-10-17", "Statement": []}
    statements = document["Statement"]
    statements = list(statements) if isinstance(statements, list) else [statements]
    return _as_text({**document, "Statement": [*statements, *more]})


def plain_size(policy: str, policy_arns: Iterable[str]) -> int:
    """Count the characters that `LONGEST_POLICY` limits."""
    return len(policy) + sum(map(len, policy_arns))


@dataclass(frozen=True)
class _SortedOut:
    public: list[str]
    vpcs: list[str]
    private: list[str]


def _sort_out(networks: Iterable[str]) -> _SortedOut:
    found = _SortedOut([], [], [])
    for text in networks:
        if _VPC.fullmatch(text):
            found.vpcs.append(text)
        elif _is_private(ipaddress.ip_network(text)):
            found.private.append(text)
        else:
            found.public.append(text)
    return found


def _is_private(network: Network) -> bool:
    return any(
        network.version == private.version and network.subnet_of(private)  # type: ignore[arg-type]  # of one version
        for private in _PRIVATE
    )


def _denials(networks: Sequence[str]) -> list[dict[str, Any]]:
    """Build the denials: allowed are public ranges and VPCs, there within private ranges if named.

    The keys in one condition must all hold, and a negated one also holds where its key is absent:
    over the internet there is no aws:SourceVpc and no aws:VpcSourceIp, through a VPC endpoint no
    aws:SourceIp.
    """
    among = _sort_out(networks)
    outside: dict[str, dict[str, list[str]]] = {}
    if among.public:
        outside["NotIpAddress"] = {"aws:SourceIp": among.public}
    if not among.vpcs:
        return [_denial(outside)]
    denials = [_denial({**outside, "StringNotEquals": {"aws:SourceVpc": among.vpcs}})]
    if among.private:
        addresses = {**outside.get("NotIpAddress", {}), "aws:VpcSourceIp": among.private}
        denials.append(_denial({"NotIpAddress": addresses}))
    return denials


def _denial(conditions: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {**conditions, "Bool": {"aws:ViaAWSService": "false"}},
    }


def _check_document(document: Any) -> None:
    if not isinstance(document, dict) or not set(document) <= {"Version", "Id", "Statement"}:
        raise InvalidName("A policy is a JSON object of Version and Statement.")
    if document.get("Version") not in ("2012-10-17", "2008-10-17"):
        raise InvalidName("A policy begins with its Version, which is “2012-10-17”.")
    statements = document.get("Statement")
    statements = statements if isinstance(statements, list) else [statements]
    if not statements or not all(isinstance(each, dict) for each in statements):
        raise InvalidName("A policy has a Statement, which is an object or a list of objects.")
    for number, statement in enumerate(statements, start=1):
        if unknown := sorted(set(statement) - _STATEMENT_PARTS):
            raise InvalidName(
                f"Statement {number} has a {unknown[0][:40]}, which a session policy cannot have."
            )
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise InvalidName(f"Statement {number} needs an Effect: Allow or Deny.")
        for part in ("Action", "Resource"):
            if (part in statement) == (f"Not{part}" in statement):
                raise InvalidName(f"Statement {number} needs either {part} or Not{part}.")


def _is_deeper_than(levels: int, document: Any) -> bool:
    frontier = [document]
    for _ in range(levels):
        frontier = [part for each in frontier for part in _parts(each)]
    return bool(frontier)


def _parts(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            # JSON's readers keep one of the two without a word, and not all of them the same.
            raise InvalidName(f"“{name[:40]}” is there twice in one object.")
        found[name] = value
    return found


def _no_number(text: str) -> Any:
    raise InvalidName(f"{text} is not JSON.")


def _as_text(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True)
