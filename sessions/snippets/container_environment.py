"""Write the environment by which AWS's SDKs fetch credentials themselves, again and again.

A `[default]` profile with keys or an `sso_session` would win over the endpoint in silence. A
profile that holds a region alone keeps it from that, in all SDKs; so one is made and chosen.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.environment import CLEARED, cleared
from sessions.snippets.posix import quoted
from sessions.snippets.token_files import FOLDER, make_files, name_of
from sessions.snippets.values import FILE_VALUE, URL, check, check_profile

PREFIX = "chainweb-"


def render(snippet: Snippet) -> str:
    profile = f"{PREFIX}{snippet.profile}"
    check_profile(profile)
    check("region", snippet.region, FILE_VALUE)
    check("The address of the endpoint", snippet.container_url, URL)
    values = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": quoted(snippet.container_url),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f'"{FOLDER}/{name_of(snippet) or "token"}'
        f'{".token" if name_of(snippet) else ""}"',
        "AWS_PROFILE": quoted(profile),
        "AWS_REGION": quoted(snippet.region),
        "AWS_DEFAULT_REGION": quoted(snippet.region),
    }
    if snippet.endpoint_url:
        check("AWS_ENDPOINT_URL", snippet.endpoint_url, URL)
        values["AWS_ENDPOINT_URL"] = quoted(snippet.endpoint_url)
    settings = [f"{name}={value}" for name, value in values.items()]
    section = f"[profile {profile}]"
    # Two lines, once; the file's other sections are left alone.
    profile_lines = quoted(f"\n{section}\nregion = {snippet.region}\n")
    return (
        f" unset {_rows(cleared(snippet))} &&\n"
        f" export {_lines(settings)} &&\n"
        ' { c="${AWS_CONFIG_FILE:-$HOME/.aws/config}"; mkdir -p "${c%/*}"; '
        f'grep -qsxF {quoted(section)} "$c" || printf %s {profile_lines} >> "$c"; }} &&\n'
        ' { test -s "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" || '
        f"{make_files(snippet)}; }}\n"
    )


def undo(snippet: Snippet) -> str:
    return f" unset {_rows(CLEARED)}\n"


def _rows(names: tuple[str, ...]) -> str:
    return _lines([" ".join(names[start : start + 4]) for start in range(0, len(names), 4)])


def _lines(words: list[str]) -> str:
    return " \\\n  ".join(words)


register(
    SnippetFormat(
        key="container-environment",
        label="Container endpoint",
        filename="chainweb-endpoint.sh",
        language="sh",
        secret=False,
        help=(
            "Paste into bash, zsh or dash, then run any AWS tool: it fetches current credentials"
            " itself. The first time it asks for your token. AWS CLI 1.43.11 or 2.33.2 and newer."
        ),
        render=render,
        undo=undo,
        group=Group.REFRESHING,
        systems=(System.MACOS, System.LINUX),
        order=10,
    )
)
