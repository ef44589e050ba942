"""Exchange temporary credentials for a console sign-in token; only workers do.

The credentials are posted, so that they are in no address and no log of addresses. No
`SessionDuration`: AWS refuses it with credentials of a chained role.
"""

import json
import os
import re
from typing import Any
from urllib.parse import urlencode

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from sessions.aws.calls import calling
from sessions.aws.clients import CONNECT_SECONDS, READ_SECONDS
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Rejected, Throttled, Unavailable
from sessions.aws.proof import Asked
from sessions.aws.responses import unacceptable
from sessions.secret import Secret

LARGEST_ANSWER = 64 * 1024
_TOKEN = re.compile(r"[!-~]{1,16384}", re.ASCII)
_CHECK = "Check that the role's session is still valid: rotate it and try again."


def sign_in_token(url: str, credentials: AwsCredentials, hop_number: int) -> Secret:
    """Ask for a sign-in token for these credentials. Raises `AwsError`, naming the leaf's hop."""
    with calling(hop_number, credentials, asked=Asked()):
        return _token(_send(url, credentials), hop_number)


def _send(url: str, credentials: AwsCredentials) -> Any:
    """Post the credentials; redirects are not followed."""
    session: Any = URLLib3Session  # its stubs know neither a file nor a pair of time-outs
    http = session(
        verify=os.environ.get("AWS_CA_BUNDLE") or True,
        proxies=get_environ_proxies(url),
        timeout=(CONNECT_SECONDS, READ_SECONDS),
    )
    try:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "chainweb",
        }
        request = AWSRequest("POST", url, headers=headers, data=_body(credentials).encode())
        return http.send(request.prepare())
    finally:
        http.close()


def _body(credentials: AwsCredentials) -> str:
    session = {
        "sessionId": credentials.access_key_id,
        "sessionKey": credentials.secret_access_key.reveal(),
        "sessionToken": credentials.session_token.reveal() if credentials.session_token else "",
    }
    return urlencode({"Action": "getSigninToken", "Session": json.dumps(session)})


def _token(response: Any, hop_number: int) -> Secret:
    """Read the token, or say why there is none; nothing of the answer is quoted."""
    status = response.status_code
    if status == 429:
        raise Throttled("Throttled", hop_number, "The console's sign-in wants fewer calls.", _LATER)
    if status >= 500:
        said = f"The console's sign-in answered {status}."
        raise Unavailable("SignInUnavailable", hop_number, said, _LATER)
    if status != 200:
        said = f"The console's sign-in rejected the session ({status})."
        raise Rejected("SignInRejected", hop_number, said, _CHECK)
    content = response.content
    token: Any = None
    if len(content) <= LARGEST_ANSWER:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        token = answer.get("SigninToken") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise unacceptable(hop_number, "The console's sign-in gave no token.", _LATER)
    return Secret(token)


_LATER = "Try again in a moment."
