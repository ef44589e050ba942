"""Write files of NAME=value lines: .env, Docker's --env-file.

Their readers agree on no quoting (Docker takes quotes as part of the value, compose expands `$` in
some of them), so only values that need none are carried.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.posix import undo
from sessions.snippets.values import PLAIN, check, comments_of, opened


def render(snippet: Snippet) -> str:
    # A file cannot remove a variable, and an empty AWS_PROFILE is an error to botocore.
    comments = (
        *comments_of(snippet),
        "Most loaders let variables of the shell win over this file. Remove those first:",
        f"  unset {' '.join(cleared(snippet))}",
    )
    return _lines(snippet, comments)


def render_for_docker(snippet: Snippet) -> str:
    return _lines(snippet, comments_of(snippet))


def _lines(snippet: Snippet, comments: tuple[str, ...]) -> str:
    found = variables(snippet)
    for name, value in found.items():
        check(name, value, PLAIN)
    lines = [f"# {comment}" for comment in comments]
    return "\n".join([*lines, *[f"{name}={opened(value)}" for name, value in found.items()]]) + "\n"


register(
    SnippetFormat(
        key="dotenv",
        label=".env",
        filename="chainweb.env",
        language="dotenv",
        secret=True,
        help=(
            "For tools that read .env. Keep it out of version control: it holds credentials until"
            " they expire."
        ),
        render=render,
        undo=undo,
        order=40,
        place=".env",
    )
)
register(
    SnippetFormat(
        key="docker-env",
        label="Docker --env-file",
        filename="chainweb.docker.env",
        language="dotenv",
        secret=True,
        help="docker run --env-file chainweb.docker.env …; the container is this session.",
        render=render_for_docker,
        group=Group.INFRASTRUCTURE,
        order=50,
        place="chainweb.docker.env",
    )
)
