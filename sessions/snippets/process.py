"""Write the answer of a credential_process.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

import json

from sessions.secret import Secret
from sessions.snippets import Snippet, SnippetFormat, register
from sessions.snippets.values import PRINTABLE, check, credentials_of, end_of, opened


def render(snippet: Snippet) -> str:
    credentials = credentials_of(snippet)
    parts: dict[str, str | Secret] = {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
    }
    if credentials.session_token is not None:
        parts["SessionToken"] = credentials.session_token
    if end := end_of(credentials):
        parts["Expiration"] = end
    if snippet.account:
        parts["AccountId"] = snippet.account
    for name, value in parts.items():
        check(name, value, PRINTABLE)
    answer = {"Version": 1} | {name: opened(value) for name, value in parts.items()}
    return json.dumps(answer, indent=2) + "\n"


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
