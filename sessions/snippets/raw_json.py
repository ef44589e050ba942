"""Write the credentials as JSON, in the shape of STS's own answer, with where they are for."""

import json

from sessions.secret import Secret
from sessions.snippets import Snippet, SnippetFormat, register
from sessions.snippets.values import ACCOUNT, PRINTABLE, check, credentials_of, end_of, opened


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
    for name, value in [*parts.items(), ("region", snippet.region)]:
        check(name, value, PRINTABLE)
    if snippet.account:
        check("The account", snippet.account, ACCOUNT)
    answer = {
        "Credentials": {name: opened(value) for name, value in parts.items()},
        **({"AccountId": snippet.account} if snippet.account else {}),
        "Region": snippet.region,
    }
    return json.dumps(answer, indent=2) + "\n"


register(
    SnippetFormat(
        key="json",
        label="JSON",
        filename="chainweb.json",
        language="json",
        secret=True,
        help="As `aws sts assume-role` prints it, for scripts: jq -r .Credentials.AccessKeyId",
        render=render,
        order=90,
        place="chainweb.json",
    )
)
