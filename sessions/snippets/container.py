"""Write the answer of a container credential provider.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
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
    # The protocol's name of it; SessionToken is that of a credential_process.
    if credentials.session_token is not None:
        parts["Token"] = credentials.session_token
    if end := end_of(credentials):
        parts["Expiration"] = end
    if snippet.account:
        parts["AccountId"] = snippet.account
    for name, value in parts.items():
        check(name, value, PRINTABLE)
    return json.dumps({name: opened(value) for name, value in parts.items()})


register(
    SnippetFormat(
        key="container",
        label="container endpoint JSON",
        filename="container.json",
        language="json",
        secret=True,
        help="The answer of the endpoint that AWS_CONTAINER_CREDENTIALS_FULL_URI names.",
        render=render,
        order=45,
    )
)
