"""Assume a role with an identity provider's token from a file.

Kubernetes or a CI runner writes the file.

Which files these may be is the operator's to say: a member picks one of them and types no path.
"""

import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime

from sessions.aws.arn import InvalidArn, RoleArn, role_key
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName, validate_role_session_name
from sessions.aws.roots import Choice, Field, RootKind, register
from sessions.aws.sts import assume_role_with_web_identity
from sessions.secret import Secret

# The operator's list: absolute paths, with colons or commas between them. The web process shows it,
# the workers obey it.
ALLOWED = "CHAINWEB_WEB_IDENTITY_TOKEN_FILES"
# STS takes no longer token.
LARGEST_TOKEN_BYTES = 20_000

# The three parts of a signed JWT: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_CHECKS = {
    "AccessDenied": (
        "Check that the role's trust policy names the token's provider, audience and subject."
    ),
    "InvalidIdentityToken": (
        "Check that IAM knows the token's issuer as an identity provider, with the token's"
        " audience."
    ),
    "IDPRejectedClaim": (
        "The provider no longer accepts this token: check the process that writes the file."
    ),
    "IDPCommunicationError": (
        "STS could not reach the token's provider. Workers retry automatically."
    ),
    "ExpiredToken": (
        "Check the process that writes the file. Workers read the file again at each try."
    ),
    "ExpiredTokenException": (
        "Check the process that writes the file. Workers read the file again at each try."
    ),
}


def allowed_files() -> tuple[str, ...]:
    """Return the absolute paths of the operator's list, in its order."""
    listed = (part.strip() for part in re.split("[:,]", os.environ.get(ALLOWED, "")))
    return tuple(dict.fromkeys(os.path.normpath(part) for part in listed if os.path.isabs(part)))


def validate_token_file(text: str) -> str:
    if text not in allowed_files():
        raise InvalidName(
            f"This is not one of the token files that the operator allows in {ALLOWED}."
        )
    return text


def validate_role_arn(text: str) -> str:
    return str(RoleArn.parse(text))


def read_token(name: str) -> Secret:
    """Read the token in that file.

    Raises `Rejected` for a file that is not the operator's, or holds no token.
    """
    if name not in allowed_files():
        raise _refused(
            "TokenFileNotAllowed",
            "The operator does not allow this token file.",
            f"Have the operator list it in {ALLOWED}, for web and workers, or choose another.",
        )
    target = os.path.realpath(name)
    if not _is_allowed(name, target):
        raise _refused(
            "TokenFileNotAllowed",
            "The token file is a link to a file that the operator does not allow.",
            f"Have the operator list the file itself in {ALLOWED}.",
        )
    token = _content(target)
    if len(token.reveal()) > LARGEST_TOKEN_BYTES:
        raise _no_token(f"is larger than {LARGEST_TOKEN_BYTES} bytes")
    if not _TOKEN.fullmatch(token.reveal()):
        raise _no_token("holds no signed JSON web token")
    return token


def _is_allowed(name: str, target: str) -> bool:
    """Check that a file is in an allowed folder, links followed.

    Kubernetes renews a token by moving a link inside its folder; a link out of it is refused.
    """
    folder = os.path.realpath(os.path.dirname(name))
    if os.path.commonpath((folder, target)) == folder:
        return True
    places = (os.path.split(each) for each in allowed_files())
    return target in {os.path.join(os.path.realpath(head), tail) for head, tail in places}


def _content(path: str) -> Secret:
    """Read a file up to a little more than the longest token. Raises `Rejected` without a file."""
    try:
        # Not to wait for a writer if it is a pipe; and if it has become a link by now, not to
        # follow it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _no_token("is not a file")
            return Secret(
                os.read(descriptor, LARGEST_TOKEN_BYTES + 2)
                .decode("ascii", "replace")
                .rstrip("\r\n")
            )
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _no_token(f"could not be read ({os.strerror(error.errno or 0)})") from None


class WebIdentity(RootKind):
    kind = "web-identity"
    label = "Web identity"
    help = "A role assumed with an identity provider's token, from a file that the operator allows."
    icon = "file-key"
    needs_operator = True
    reads_a_file = True
    identity_settings = ("role_arn",)
    fields = (
        Field(
            "token_file",
            "Token file",
            "File on the workers that holds the token.",
            validate=validate_token_file,
            options=lambda: tuple(Choice(name, name) for name in allowed_files()),
        ),
        Field(
            "role_arn",
            "Role ARN",
            "Its trust policy must accept the provider.",
            validate=validate_role_arn,
        ),
        Field(
            "role_session_name",
            "Role session name",
            "The same for everybody; hops name people.",
            validate=validate_role_session_name,
        ),
    )

    def caches_credentials(self, settings: Mapping[str, str]) -> bool:
        return True

    def account(self, settings: Mapping[str, str]) -> str:
        try:
            return RoleArn.parse(settings.get("role_arn", "")).account
        except InvalidArn:
            return ""

    def identity(self, settings: Mapping[str, str]) -> str:
        return role_key(settings.get("role_arn", ""))

    def written_at(self, settings: Mapping[str, str]) -> datetime | None:
        name = settings.get("token_file", "")
        if name not in allowed_files():
            return None
        try:
            found = os.stat(name)
        except OSError:
            return None
        # A file that is moved into its place may have been written long before.
        return datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC)

    def get_credentials(
        self,
        settings: Mapping[str, str],
        secrets: Mapping[str, Secret],
        answers: Mapping[str, Secret],
        region: str,
    ) -> AwsCredentials:
        """Return the role's credentials for an hour, by the token that the file holds now."""
        hop = Hop(settings.get("role_arn", ""), settings.get("role_session_name", ""))
        try:
            hop.validate()
        except (InvalidArn, InvalidName) as error:
            raise _refused("ValidationError", str(error), "Check the session's fields.") from None
        token = read_token(settings.get("token_file", ""))
        try:
            return assume_role_with_web_identity(hop, token, region).credentials
        except AwsError as error:
            raise explained(error) from None

    def summary(self, settings: Mapping[str, str]) -> str:
        try:
            arn = RoleArn.parse(settings.get("role_arn", ""))
        except InvalidArn:
            return ""
        return f"{arn.account} / {arn.name}"


def explained(error: AwsError) -> AwsError:
    """Put an error of AssumeRoleWithWebIdentity into words that fit a token and not a key."""
    if error.code not in _CHECKS:
        return error
    expired = error.code.startswith("ExpiredToken")
    message = "The token in the file has expired." if expired else error.message
    return Rejected(
        error.code, 0, message, _CHECKS[error.code], retryable=expired or error.retryable
    )


def _no_token(why: str) -> Rejected:
    # It goes away by itself when whoever writes the file gets round to it.
    return Rejected(
        "NoToken",
        0,
        f"The token file {why}.",
        "Check the process that writes it, on the workers.",
        retryable=True,
    )


def _refused(code: str, message: str, check: str) -> Rejected:
    return Rejected(code, 0, message, check)


register(WebIdentity())
