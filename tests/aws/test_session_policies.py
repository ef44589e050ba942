"""Narrow a session by inline policies, managed policies and networks."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sessions.aws import session_policies
from sessions.aws.arn import RoleArn
from sessions.aws.names import InvalidName
from sessions.aws.session_policies import (
    bind_to_networks,
    validate_networks,
    validate_session_policy,
)

READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs/*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [READ]}, indent=4)
ROLE = RoleArn.parse("arn:aws:iam::111122223333:role/Deploy")


def denials(policy):
    return [each for each in json.loads(policy)["Statement"] if each["Effect"] == "Deny"]


def is_denied(policy, context):
    """Evaluate our denials as IAM does for that context.

    Every key of a statement must match, and a negated
    operator matches an absent key.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_multi-value-conditions.html
    """
    import ipaddress

    def outside(key, networks):
        address = context.get(key)
        return address is None or not any(
            ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in networks
        )

    for statement in denials(policy):
        conditions = dict(statement["Condition"])
        assert conditions.pop("Bool") == {"aws:ViaAWSService": "false"}
        matches = [context.get("aws:ViaAWSService", "false") == "false"]
        matches += [
            outside(key, networks) for key, networks in conditions.pop("NotIpAddress", {}).items()
        ]
        matches += [
            context.get(key) not in values
            for key, values in conditions.pop("StringNotEquals", {}).items()
        ]
        assert not conditions
        if all(matches):
            return True
    return False


def test_a_policy_is_written_without_blanks_and_means_the_same():
    short = validate_session_policy(POLICY)
    assert json.loads(short) == json.loads(POLICY)
    assert " " not in short
    assert validate_session_policy(short) == short


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{", "line 1, column 2"),
        ("[]", "JSON object"),
        ('"x"', "JSON object"),
        ("NaN", "not JSON"),
        ("{}", "Version"),
        ('{"Version":"2012-10-17"}', "Statement"),
        ('{"Version":"2012-10-17","Statement":[]}', "Statement"),
        ('{"Version":"2012-10-17","Statement":[1]}', "list of objects"),
        ('{"Version":"2012-10-18","Statement":[]}', "2012-10-17"),
        ('{"Version":"2012-10-17","Statement":{"Action":"*","Resource":"*"}}', "needs an Effect"),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":["Allow"],"Action":"*","Resource":"*"}}',
            "needs an Effect",
        ),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*"}}',
            "Action or NotAction",
        ),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*"}}',
            "Resource or NotResource",
        ),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}',
            "cannot have",
        ),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}',
            "twice",
        ),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"Ω","Resource":"*"}}',
            "U\\+00FF",
        ),
        ('{"a":' * 100_000, "nested|JSON"),
        # The reader gets through these; who reads them again with a longer stack would not.
        (POLICY.replace('"s3:GetObject"', "[" * 30 + "]" * 30), "nested"),
        (POLICY.replace('"s3:GetObject"', "[" * 700 + "]" * 700), "nested"),
        (POLICY.replace("logs", "x" * 2048), "2048"),
    ],
)
def test_what_aws_would_not_take_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidName, match=reason):
        validate_session_policy(text)


def test_an_object_of_very_many_names_is_refused_in_no_time():
    """Send as much as a request may hold.

    Names compared each with each would keep a web process busy for an hour.
    """
    text = "{" + ",".join(f'"k{number}":1' for number in range(200_000)) + "}"
    before = time.process_time()
    with pytest.raises(InvalidName, match="JSON object"):
        validate_session_policy(text)
    assert time.process_time() - before < 10


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource"])
                | st.text(max_size=3),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
@example({"Version": []})
def test_whatever_json_there_is_is_a_policy_or_refused(value):
    try:
        policy = validate_session_policy(json.dumps(value))
    except InvalidName:
        return
    assert json.loads(policy) == value


def test_managed_policies_are_of_the_roles_account_or_of_aws():
    theirs = [
        "arn:aws:iam::aws:policy/job-function/Billing",
        "arn:aws:iam::111122223333:policy/team/Read",
    ]
    assert session_policies.validate_policy_arns(theirs, ROLE) == tuple(theirs)
    for other in (
        "arn:aws:iam::444455556666:policy/Read",
        "arn:aws-cn:iam::aws:policy/ReadOnlyAccess",
    ):
        with pytest.raises(InvalidName, match="role's account"):
            session_policies.validate_policy_arns([other], ROLE)
    with pytest.raises(InvalidName, match="twice"):
        session_policies.validate_policy_arns([theirs[0], theirs[0]])
    with pytest.raises(InvalidName, match="at most 10"):
        session_policies.validate_policy_arns([f"{theirs[0]}{n}" for n in range(11)])
    for bad in (
        "ReadOnlyAccess",
        "arn:aws:iam::aws:role/X",
        theirs[0] + "\n",
        "arn:aws:iam::12:policy/X",
    ):
        with pytest.raises(InvalidName, match="looks like"):
            session_policies.validate_policy_arn(bad)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("vpc-0a1b2c3d4e5f60718", "vpc-0a1b2c3d4e5f60718"),
    ],
)
def test_a_network_is_written_one_way(text, meant):
    assert session_policies.validate_network(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "203.0.113.1/24",
        "0.0.0.0/0",
        "::/0",
        "127.0.0.1",
        "169.254.0.0/16",
        "fe80::/10",
        "vpc-x",
        "office",
    ],
)
def test_what_binds_nothing_or_nobody_is_no_network(text):
    with pytest.raises(InvalidName):
        session_policies.validate_network(text)


def test_a_private_range_needs_its_vpc():
    with pytest.raises(InvalidName, match="anybody's VPC"):
        validate_networks(["203.0.113.0/24", "10.0.0.0/16"])
    assert validate_networks(["10.0.0.0/16", "vpc-0a1b2c3d"]) == ("10.0.0.0/16", "vpc-0a1b2c3d")
    assert validate_networks(["203.0.113.7", "203.0.113.7/32"]) == ("203.0.113.7/32",)


def test_without_networks_a_policy_stays_what_it_was():
    assert bind_to_networks(POLICY, (), []) == POLICY
    assert bind_to_networks("", (), [(), ()]) == ""


def test_a_bound_session_keeps_its_policy_and_else_does_what_the_role_may():
    bound = json.loads(bind_to_networks(POLICY, (), [["203.0.113.0/24"]]))
    assert bound["Statement"][0] == READ
    assert len(bound["Statement"]) == 2
    alone = json.loads(bind_to_networks("", (), [["203.0.113.0/24"]]))
    assert alone["Statement"][0] == {"Effect": "Allow", "Action": "*", "Resource": "*"}
    # Beside managed policies an Allow of everything would undo them.
    beside = json.loads(
        bind_to_networks("", ("arn:aws:iam::aws:policy/ReadOnlyAccess",), [["203.0.113.0/24"]])
    )
    assert [each["Effect"] for each in beside["Statement"]] == ["Deny"]


OFFICE = {"aws:SourceIp": "203.0.113.7"}
ELSEWHERE = {"aws:SourceIp": "198.51.100.9"}
OUR_VPC = {"aws:SourceVpc": "vpc-0a1b2c3d", "aws:VpcSourceIp": "10.0.3.4"}
OUR_VPC_OTHER_SUBNET = {**OUR_VPC, "aws:VpcSourceIp": "10.9.3.4"}
THEIR_VPC = {"aws:SourceVpc": "vpc-ffffffff", "aws:VpcSourceIp": "10.0.3.4"}
EVERY_PLACE = [OFFICE, ELSEWHERE, OUR_VPC, OUR_VPC_OTHER_SUBNET, THEIR_VPC]


@pytest.mark.parametrize(
    ("networks", "let_in"),
    [
        (["203.0.113.0/24"], [OFFICE]),
        (["vpc-0a1b2c3d"], [OUR_VPC, OUR_VPC_OTHER_SUBNET]),
        (["vpc-0a1b2c3d", "10.0.0.0/16"], [OUR_VPC]),
        (["203.0.113.0/24", "vpc-0a1b2c3d"], [OFFICE, OUR_VPC, OUR_VPC_OTHER_SUBNET]),
        (["203.0.113.0/24", "vpc-0a1b2c3d", "10.0.0.0/16"], [OFFICE, OUR_VPC]),
        (["2001:db8::/32"], []),
    ],
)
def test_exactly_the_callers_of_the_networks_are_let_in(networks, let_in):
    policy = bind_to_networks("", (), [networks])
    assert [place for place in EVERY_PLACE if not is_denied(policy, place)] == let_in


def test_two_lists_must_both_let_a_caller_in():
    policy = bind_to_networks("", (), [["203.0.113.0/24"], ["203.0.113.0/29"]])
    assert not is_denied(policy, OFFICE)
    assert is_denied(policy, {"aws:SourceIp": "203.0.113.77"})


def test_what_an_aws_service_does_for_the_session_is_not_denied():
    policy = bind_to_networks("", (), [["203.0.113.0/24"]])
    assert not is_denied(policy, {"aws:ViaAWSService": "true"})


def test_a_bound_policy_is_one_that_aws_takes():
    policy = bind_to_networks("", (), [["203.0.113.0/24", "vpc-0a1b2c3d", "10.0.0.0/16"]])
    assert validate_session_policy(policy) == policy
