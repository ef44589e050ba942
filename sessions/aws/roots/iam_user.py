"""Get credentials from an IAM user's access key or, with an MFA device, a session of it."""

import re
from collections.abc import Mapping

from sessions.aws.characters import outsider
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Rejected, WaitingForPerson
from sessions.aws.names import InvalidName, validate_mfa_serial
from sessions.aws.roots import Challenge, Field, RootKind, register
from sessions.aws.sts import session_token
from sessions.secret import Secret

_KEY_ID = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9/+=]{16,128}", re.ASCII)
_SECRET_CHARACTER = re.compile(r"[A-Za-z0-9/+=]", re.ASCII)
_DEVICE = re.compile(r"arn:[a-z-]+:iam::(?P<account>[0-9]{12}):", re.ASCII)
_CODE = re.compile(r"[0-9]{6}", re.ASCII)


def validate_access_key_id(text: str) -> str:
    if text.startswith("ASIA"):
        raise InvalidName(
            "This is a temporary key (ASIA…), which ends. An IAM user's own key begins with AKIA."
        )
    if not _KEY_ID.fullmatch(text):
        raise InvalidName(
            "An access key ID is 16 to 128 capital letters and digits, and begins with"
            f" AKIA{outsider(text, '')}."
        )
    return text


def validate_secret_access_key(text: str) -> str:
    # The message says nothing of what was typed but where something is that no key has.
    if not _SECRET.fullmatch(text):
        raise InvalidName(
            "A secret access key is made of letters, digits and / + =, usually 40 of"
            f" them{_where(text)}."
        )
    return text


def _where(text: str) -> str:
    stray = next(
        (at for at, each in enumerate(text, start=1) if not _SECRET_CHARACTER.fullmatch(each)), 0
    )
    return f"; character {stray} is none of these" if stray else ""


def validate_code(text: str) -> str:
    # Nor does this one: the code is good for half a minute yet.
    if not _CODE.fullmatch(text):
        raise InvalidName("An MFA code is six digits.")
    return text


class IamUser(RootKind):
    kind = "iam-user"
    label = "IAM user"
    help = "An IAM user's long-lived access key. Only workers can decrypt it."
    icon = "key-round"
    identity_settings = ("access_key_id",)
    long_lived_key = ("access_key_id", "secret_access_key")
    fields = (
        Field(
            "access_key_id",
            "Access key ID",
            "Begins with AKIA; IAM shows it.",
            validate=validate_access_key_id,
        ),
        Field(
            "secret_access_key",
            "Secret access key",
            "Stored encrypted; never shown again.",
            secret=True,
            validate=validate_secret_access_key,
        ),
        Field(
            "mfa_serial",
            "MFA serial",
            "The device's ARN, if policies require MFA.",
            required=False,
            validate=validate_mfa_serial,
        ),
    )

    def challenges(self, settings: Mapping[str, str]) -> tuple[Challenge, ...]:
        if not settings.get("mfa_serial"):
            return ()
        return (
            Challenge(
                "code",
                "MFA code",
                f"The current six digits of {settings['mfa_serial']}.",
                validate=validate_code,
            ),
        )

    def account(self, settings: Mapping[str, str]) -> str:
        device = _DEVICE.match(settings.get("mfa_serial", ""))
        return device["account"] if device else ""

    def get_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """Return the key itself or, with an MFA device, a session of twelve hours."""
        key_id, secret = settings.get("access_key_id"), secrets.get("secret_access_key")
        if not key_id or not secret:
            raise Rejected(
                "NoSecret", 0, "The root's access key is not stored.", "Enter the root's key again."
            )
        key = AwsCredentials(key_id, secret)
        serial = settings.get("mfa_serial")
        if not serial:
            return key
        code = answers.get("code")
        if not code or not _CODE.fullmatch(code.reveal()):
            raise WaitingForPerson(
                "CodeNeeded",
                0,
                "The root's user needs an MFA code.",
                "Enter the six digits that the device shows.",
            )
        return session_token(key, region, serial, code)

    def summary(self, settings: Mapping[str, str]) -> str:
        key_id = settings.get("access_key_id", "")
        return f"{key_id[:4]}…{key_id[-4:]}" if key_id else ""


register(IamUser())
