"""Write the answer of a credential_process.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

import json

from sessions.secret import Secret
from sessions.snippets import Snippet, SnippetFormat, register
from sessions.snippets.values import PRINTABLE, check, credentials_of, end_of, opened


def render(snippet: Snippet) -> str:
    answer = {"Version": 1} | answer_of(snippet, "SessionToken")
    return json.dumps(answer, indent=2) + "\n"


def answer_of(snippet: Snippet, session_token_as: str) -> dict[str, str]:
    """Return what tools read from a provider, the session token by the protocol's name of it.

    Raises ValueError for a value that no tool would take.
    """
    credentials = credentials_of(snippet)
    parts: dict[str, str | Secret] = {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
    }
    if credentials.session_token is not None:
        parts[session_token_as] = credentials.session_token
    if end := end_of(credentials):
        parts["Expiration"] = end
    if snippet.account:
        parts["AccountId"] = snippet.account
    for name, value in parts.items():
        check(name, value, PRINTABLE)
    return {name: opened(value) for name, value in parts.items()}


register(
    SnippetFormat(
        key="process",
        label="credential_process JSON",
        filename="credentials.json",
        language="json",
        secret=True,
        help=("The output of a credential_process, for tools that run a program of yours."),
        render=render,
        order=80,
    )
)
