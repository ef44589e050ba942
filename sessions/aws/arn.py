"""The ARN of an IAM role: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""

import re
from dataclasses import dataclass
from typing import Self

from sessions.aws.names import partitions

LONGEST = 2048
NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)
PATH = re.compile(r"/(?:[\x21-\x2e\x30-\x7e]+/)*", re.ASCII)


class InvalidArn(ValueError):
    """The message says what is wrong with the ARN."""


@dataclass(frozen=True)
class RoleArn:
    """`path` is "/" or "/division/unit/"; names are case-sensitive."""

    partition: str
    account: str
    path: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if len(text) > LONGEST:
            raise InvalidArn(f"A role ARN has at most {LONGEST} characters.")
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn":
            raise InvalidArn("A role ARN looks like arn:aws:iam::111122223333:role/Name.")
        _, partition, service, region, account, resource = parts
        if partition not in partitions():
            raise InvalidArn(f"There is no partition {partition!r}; known are {', '.join(partitions())}.")
        if service != "iam" or region:
            raise InvalidArn("A role's ARN is IAM's and has no region: arn:aws:iam::…")
        if not re.fullmatch(r"[0-9]{12}", account, re.ASCII):
            raise InvalidArn("The account in the ARN must be 12 digits.")
        kind, slash, rest = resource.partition("/")
        if kind != "role" or not slash:
            raise InvalidArn(f"This is not the ARN of a role: it should go on with role/, not {kind[:40]!r}.")
        head, _, name = rest.rpartition("/")
        path = f"/{head}/" if head else "/"
        if not NAME.fullmatch(name):
            raise InvalidArn("The role's name must be 1 to 64 letters, digits or _+=,.@-.")
        if len(path) > 512 or not PATH.fullmatch(path):
            raise InvalidArn("The role's path has a character that IAM does not allow.")
        return cls(partition, account, path, name)

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"

    def assumed_role_arn(self, role_session_name: str) -> str:
        """What CloudTrail and GetCallerIdentity show for a session of this role; the path is not in it."""
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.name}/{role_session_name}"
