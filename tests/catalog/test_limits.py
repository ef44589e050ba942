"""Narrow what is delivered by the team's policy, and refuse what will not fit at the form."""

import json

import pytest

from sessions.aws.limits import Limits, limited_policy, scoped_policy
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.models import ScopingRefusal, TeamPolicy
from tests.chains.test_names import OFFICE, assumed, set_policy
from tests.harness.sts.policies import allow

pytestmark = pytest.mark.django_db

S3 = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
LONG = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:" + "x" * 1750], "Resource": "*"}],
    }
)


def may(policy, action, region="eu-west-1"):
    return allow([policy], action, region)


@pytest.mark.parametrize(
    "limit", [scoped_policy, lambda lists, limits: limited_policy("", (), lists, limits)]
)
def test_each_limit_denies_what_it_says_and_no_more(limit):
    reading = limit((), Limits(read_only=True))
    assert may(reading, "ec2:DescribeInstances")
    assert may(reading, "s3:GetObject")
    assert may(reading, "sts:GetCallerIdentity")
    for action in ("ec2:RunInstances", "s3:PutObject", "iam:CreateUser", "sts:AssumeRole"):
        assert not may(reading, action), action
    assert not may(reading, "secretsmanager:GetSecretValue")
    identity = limit((), Limits(without_iam=True))
    for action in ("iam:GetRole", "iam:ListUsers", "iam:PassRole", "iam:SimulatePrincipalPolicy"):
        assert may(identity, action), action
    for action in ("iam:CreateUser", "iam:PutRolePolicy", "iam:AttachUserPolicy", "iam:TagRole"):
        assert not may(identity, action), action
    assert may(identity, "organizations:DescribeOrganization")
    assert may(identity, "organizations:ListAccounts")
    for action in ("organizations:LeaveOrganization", "organizations:DeletePolicy"):
        assert not may(identity, action), action
    here = limit((), Limits(regions=("eu-west-1",)))
    assert may(here, "ec2:RunInstances")
    assert not may(here, "ec2:RunInstances", "us-east-1")
    assert may(here, "iam:CreateUser", "us-east-1")


def test_a_policy_of_the_teams_own_allows_no_more_than_it_says():
    own = scoped_policy(([OFFICE],), Limits(policy=S3, regions=("eu-west-1",)))
    assert allow([own], "s3:GetObject", "eu-west-1", "203.0.113.9")
    assert not allow([own], "s3:GetObject", "eu-west-1", "198.51.100.7")
    assert not allow([own], "s3:GetObject", "us-east-1", "203.0.113.9")
    assert not allow([own], "ec2:RunInstances", "eu-west-1", "203.0.113.9")


def test_all_presets_fit_beside_a_few_networks():
    every = Limits(read_only=True, without_iam=True, regions=("eu-west-1", "eu-central-1"))
    lists = (["203.0.113.0/24", "198.51.100.0/24"], ["192.0.2.0/24"])
    assert len(scoped_policy(lists, every)) <= 2048


def test_limits_hold_without_scoping_too(house, sts):
    set_policy(house, without_iam=True)
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    assert not may(assumed(sts)[-1]["sent"].policy, "iam:CreateUser")


def test_limits_that_are_too_long_are_refused_on_their_field(house):
    with pytest.raises(Refused) as refused:
        set_policy(house, scope_policy=LONG, without_iam=True)
    assert refused.value.field == "scope_policy"
    assert "2048" in refused.value.message
    assert not TeamPolicy.objects.exists()


def test_a_session_that_would_become_too_long_is_named(house):
    house.chained("Buckets", policy=LONG)
    with pytest.raises(Refused, match="Buckets"):
        set_policy(house, without_iam=True)
    set_policy(house, without_iam=True, scoping="required")


def test_a_session_policy_and_the_teams_own_join_only_by_scoping(house):
    house.chained("Buckets", policy=S3)
    with pytest.raises(Refused, match="Buckets"):
        set_policy(house, scope_policy=S3)
    set_policy(house, scope_policy=S3, scoping="where-allowed")


def test_a_new_session_is_held_to_the_limits(house):
    set_policy(house, without_iam=True)
    with pytest.raises(Refused, match="2048"):
        house.chained("Buckets", policy=LONG)


def test_another_choice_of_scoping_forgets_what_aws_has_refused(house):
    set_policy(house, scoping="where-allowed")
    ScopingRefusal.objects.create(
        team=house.team,
        role_arn="x",
        code="AccessDenied",
        at=database_now(),
        try_again_at=database_now(),
    )
    set_policy(house, scoping="required")
    assert not ScopingRefusal.objects.exists()
