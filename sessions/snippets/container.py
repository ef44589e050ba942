"""Write the answer of a container credential provider.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

import json

from sessions.snippets import Snippet, SnippetFormat, register
from sessions.snippets.process import answer_of


def render(snippet: Snippet) -> str:
    # The protocol's name of it; SessionToken is that of a credential_process.
    return json.dumps(answer_of(snippet, "Token"))


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
