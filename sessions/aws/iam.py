"""Call IAM, here alone: an IAM user's own access keys.

Every call may be repeated; errors are `AwsError` with hop 0.

IAM answers from many places that learn of a change one after the other: a key made just now may not
be listed, or not be known to STS, for some seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sessions.aws.calls import calling, check_region
from sessions.aws.clients import client
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Rejected
from sessions.aws.proof import Asked, Call, Signer
from sessions.aws.responses import unacceptable
from sessions.secret import Secret

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9/+=]{16,128}", re.ASCII)


@dataclass(frozen=True)
class AccessKey:
    """Hold one of a user's keys as IAM lists it."""

    id: str
    active: bool


def list_keys(using: AwsCredentials, user_name: str, region: str) -> dict[str, AccessKey]:
    """Return the user's keys by their ids, two at most."""
    check_region(region, 0)
    with calling(0, using, asked=_asked(region)):
        answer = client("iam", region).list_access_keys(UserName=user_name)
        found = [
            AccessKey(
                _text(each, "AccessKeyId", _KEY_ID, "access key ID"), each.get("Status") == "Active"
            )
            for each in answer.get("AccessKeyMetadata", [])
        ]
    return {key.id: key for key in found}


def create_key(using: AwsCredentials, user_name: str, region: str) -> AwsCredentials:
    """Create a further key of the user; its secret is in this answer and nowhere else."""
    check_region(region, 0)
    with calling(0, using, asked=_asked(region)):
        return _created(client("iam", region).create_access_key(UserName=user_name))


def deactivate_key(using: AwsCredentials, user_name: str, key_id: str, region: str) -> None:
    """Deactivate a key at AWS.

    Holders of a copy notice it; it can still be undone in IAM.
    """
    check_region(region, 0)
    with calling(0, using, asked=_asked(region)):
        client("iam", region).update_access_key(
            UserName=user_name, AccessKeyId=key_id, Status="Inactive"
        )


def delete_key(using: AwsCredentials, user_name: str, key_id: str, region: str) -> None:
    """Delete a key, which may be gone already."""
    check_region(region, 0)
    try:
        with calling(0, using, asked=_asked(region)):
            client("iam", region).delete_access_key(UserName=user_name, AccessKeyId=key_id)
    except Rejected as error:
        if error.code != "NoSuchEntity":
            raise


def was_ever_used(using: AwsCredentials, key_id: str, region: str) -> bool:
    """Tell if IAM has ever seen the key in use."""
    check_region(region, 0)
    with calling(0, using, asked=_asked(region)):
        answer = client("iam", region).get_access_key_last_used(AccessKeyId=key_id)
        return bool(answer.get("AccessKeyLastUsed", {}).get("LastUsedDate"))


def _asked(region: str) -> Asked:
    return Asked(Call.IAM, Signer.ROOT_KEY, region, home=region)


def _created(answer: Mapping[str, Any]) -> AwsCredentials:
    key = answer.get("AccessKey")
    if not isinstance(key, Mapping):
        raise unacceptable(0, "The answer has no key.", _CHECK)
    return AwsCredentials(
        _text(key, "AccessKeyId", _KEY_ID, "access key ID"),
        Secret(_text(key, "SecretAccessKey", _SECRET, "secret access key")),
    )


def _text(answer: Mapping[str, Any], name: str, pattern: re.Pattern[str], what: str) -> str:
    text = answer.get(name)
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise unacceptable(
            0, f"The answer's {what} is missing, or is not of the form that AWS uses.", _CHECK
        )
    return text


_CHECK = "Check that AWS_ENDPOINT_URL_IAM, if it is set, leads to an IAM that can be trusted."
