"""Parse the ARN of an IAM role, whose form is described at
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
"""

import re
import string
from dataclasses import dataclass
from functools import lru_cache

from sessions.aws.characters import outsider
from sessions.aws.names import partitions

LONGEST = 2048
EXAMPLE = "arn:aws:iam::111122223333:role/Name"

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)
# IAM's own pattern of a path, at most 512 characters with both slashes.
_PATH = re.compile(r"/|/[!-~]{1,510}/", re.ASCII)


def role_key(role_arn: str) -> str:
    """Return what tells one role from another: its partition, account and name.

    IAM gives a name to one role of an account alone, whatever its path, and does not tell "Deploy"
    from "deploy" there. So of two ARNs that differ in path or case at most one is a role's, and
    none is a second role. `lookups.RoleKey` is the same in SQL.
    """
    owner = role_arn[: role_arn.find(":role/") + 1]
    return f"{owner}{role_arn.rpartition('/')[2]}".lower()


def identity_key(arn: str) -> str:
    """Return the part of a caller's ARN that tells one caller from another.

    For a role session it is its role's key. GetCallerIdentity gave the ARN.
    """
    owner, _, resource = arn.rpartition(":")
    kind, _, rest = resource.partition("/")
    if kind == "assumed-role":
        return f"{owner.replace(':sts:', ':iam:')}:{rest.partition('/')[0]}".lower()
    # A user's name is the account's alone as well, whatever the path.
    return f"{owner}:{kind}/{rest.rpartition('/')[2]}".lower()


class InvalidArn(ValueError):
    """Report what is wrong with an ARN, in words for the person who typed it."""


@dataclass(frozen=True)
class RoleArn:
    """Hold a role's ARN in its parts.

    `account` has twelve digits; `path` is "/" or like "/division/unit/"; names are case-sensitive.
    """

    partition: str
    account: str
    path: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "RoleArn":
        """Read a role's ARN exactly as IAM writes it. Raises `InvalidArn`."""
        return _parse(text)

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"

    def assumed_role_arn(self, role_session_name: str) -> str:
        """Return the role session's ARN as CloudTrail and GetCallerIdentity show it.

        It has no path.
        """
        return (
            f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.name}/{role_session_name}"
        )


# The same few roles are parsed for every hop that is minted.
@lru_cache(maxsize=4096)
def _parse(text: str) -> RoleArn:
    if not (text.isascii() and text.isprintable()) or " " in text:
        where = outsider(text, string.punctuation)
        raise InvalidArn(
            f"A role ARN has no spaces, line breaks or characters outside ASCII{where}."
        )
    if len(text) > LONGEST:
        raise InvalidArn(f"A role ARN has at most {LONGEST} characters; this one has {len(text)}.")
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise InvalidArn(f"A role ARN looks like {EXAMPLE}.")
    _, partition, service, region, account, resource = parts
    if partition not in partitions():
        raise InvalidArn(
            f"There is no AWS partition “{partition[:40]}”; there are {', '.join(partitions())}."
        )
    if service == "sts" and resource.startswith("assumed-role/"):
        raise InvalidArn(
            "This is the ARN of a role session, not of the role. "
            f"The role's begins arn:{partition}:iam::{account[:12]}:role/."
        )
    if service != "iam":
        raise InvalidArn(f"A role belongs to the service iam, not to “{service[:40]}”: {EXAMPLE}.")
    if region:
        raise InvalidArn("A role has no region: there is nothing between the two colons after iam.")
    if not _ACCOUNT.fullmatch(account):
        raise InvalidArn(f"The account in a role ARN is 12 digits, not “{account[:40]}”.")
    kind, slash, rest = resource.partition("/")
    if kind != "role" or not slash:
        raise InvalidArn(f"After the account comes role/ and the role's name, not “{kind[:40]}”.")
    head, inner_slash, name = rest.rpartition("/")
    path = f"/{head}/" if inner_slash else "/"
    if not _PATH.fullmatch(path):
        raise InvalidArn(
            "The role's path is empty or too long: a path has 1 to 510 characters between its"
            " slashes."
        )
    if not _NAME.fullmatch(name):
        raise InvalidArn(
            "The role's name, after the last slash, is 1 to 64 letters, digits and _ + = , . @ -"
            f"{f'; this one has {len(name)}' if len(name) > 64 else ''}."
        )
    return RoleArn(partition, account, path, name)
