"""Render a section of ~/.aws/credentials."""

from sessions.secret import Secret
from sessions.snippets import Snippet, SnippetFormat, register
from sessions.snippets.ini import section
from sessions.snippets.values import (
    FILE_VALUE,
    URL,
    check,
    check_profile,
    comments_of,
    credentials_of,
)


def render(snippet: Snippet) -> str:
    credentials = credentials_of(snippet)
    check_profile(snippet.profile)
    settings: dict[str, str | Secret] = {
        "aws_access_key_id": credentials.access_key_id,
        "aws_secret_access_key": credentials.secret_access_key,
    }
    if credentials.session_token is not None:
        settings["aws_session_token"] = credentials.session_token
    settings["region"] = snippet.region
    for name, value in settings.items():
        check(name, value, FILE_VALUE)
    if snippet.endpoint_url:
        # Its place is the config file, but botocore reads both files as one, and one section is one
        # thing to remove again.
        check("endpoint_url", snippet.endpoint_url, URL)
        settings["endpoint_url"] = snippet.endpoint_url
    return section(snippet.profile, settings, comments_of(snippet))


register(
    SnippetFormat(
        key="credentials-file",
        label="Credentials file",
        filename="credentials",
        language="ini",
        secret=True,
        help=(
            "Put it into ~/.aws/credentials in place of any section of the same name; use it with"
            " --profile. As a file of its own, AWS_SHARED_CREDENTIALS_FILE points at it."
        ),
        place="~/.aws/chainweb-credentials",
        render=render,
        order=10,
    )
)
