"""Tell what a name that an assumer chose says: an address, a person's handle, a program, nothing.

Role session names, source identities and names of federated users are free text: SDKs fill them
with numbers, services with their own words. No rule is certain; in doubt a name is a handle.
"""

import re
from enum import StrEnum
from functools import lru_cache

_ADDRESS = re.compile(r"[^@\s=:/]+@[^@\s]+\.[A-Za-z]{2,}")
_INSTANCE = re.compile(r"m?i-[0-9A-Za-z]{8,17}", re.ASCII)
_MADE_BY_SDK = re.compile(
    r"""
    (?: aws | boto | botocore | boto3 | assume-?role ) [-_A-Za-z]* [-_] [0-9]{6,}
    | (?: botocore-session | web-identity-token | assume-role-[a-z-]+ ) -.*
    | aws-?cli-session.* | aws-sdk-.* | aws-go-sdk-.*
    | [0-9-]+ | [0-9a-f]{16,64}
    | [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}
    """,
    re.ASCII | re.VERBOSE | re.IGNORECASE,
)
# "AWSBackup-…", "AmazonSSM…": services name their sessions after themselves.
_OF_AWS = re.compile(r"(?:AWS|Amazon)[A-Z-].*", re.DOTALL)
# A run's number, then "@" and what ran: GitHub's sha, Spacelift's stack.
_RUN = re.compile(r"(?:[0-9]{6,}|[0-9A-HJKMNP-TV-Z]{26})@.*", re.ASCII | re.DOTALL)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OF_PROGRAMS = """
    airflow atlantis automation autoscaling backup batch bot buildkite circleci cloudformation
    codebuild codedeploy codepipeline cognito collector container cron daemon datadog ecs eks
    exporter fargate function github githubactions gitlab glue handler instance jenkins lambda
    monitoring pipeline pod prowler replication runner sagemaker scanner scheduler service
    spacelift stackset stacksets svc terraform worker workflow workload
"""
_OF_NOTHING = """
    a account admin api app assume assumed aws boto botocore cli console dba default demo dev
    developer example federated id me my name new operator owner prod root sample sdk sso stage
    staging sts team temp temporary test tester the tmp user
"""
# A name with one of these is that of a role or of the session, as in AWS's own examples.
_OF_THINGS = frozenset({"role", "session"})
PROGRAMS = frozenset(_OF_PROGRAMS.split())
NOTHING = frozenset(_OF_NOTHING.split())


class Says(StrEnum):
    """Name what a chosen name says about who uses the session."""

    ADDRESS = "address"
    HANDLE = "handle"
    PROGRAM = "program"
    NOTHING = "nothing"


@lru_cache(maxsize=4096)
def says(name: str) -> Says:
    """Tell what a chosen name says."""
    if not name or is_masked(name) or _MADE_BY_SDK.fullmatch(name):
        return Says.NOTHING
    if _ADDRESS.fullmatch(name):
        return Says.ADDRESS
    words = {word.lower() for word in _WORD.findall(name)}
    # "GitHub" is one word as well as two.
    of_programs = PROGRAMS & (words | set(_WORD.findall(name.lower())))
    patterns = _INSTANCE, _RUN, _OF_AWS
    if of_programs or "CN=" in name or any(pattern.fullmatch(name) for pattern in patterns):
        return Says.PROGRAM
    return Says.HANDLE if words - NOTHING and not words & _OF_THINGS else Says.NOTHING


def is_instance(name: str) -> bool:
    """Tell if a session name is that of an EC2 or managed instance."""
    return bool(_INSTANCE.fullmatch(name))


def is_masked(value: str) -> bool:
    """Tell if somebody has hidden a value: XXXX, ****, "...", or AWS's own words."""
    return value == "HIDDEN_DUE_TO_SECURITY_REASONS" or (
        len(value) > 2 and set(value) in ({"X"}, {"*"}, {"."})
    )
