"""Write the files by which direnv and mise set a folder's environment."""

import json

from sessions.snippets import Snippet, SnippetFormat, System, posix, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.values import PLAIN, check, comments_of, opened


def render_direnv(snippet: Snippet) -> str:
    # direnv runs bash over it, and takes back on leaving what it has removed and set.
    return _comments(snippet) + posix.render(snippet)


def undo_direnv(snippet: Snippet) -> str:
    return "rm .envrc && direnv reload\n"


def render_mise(snippet: Snippet) -> str:
    found = variables(snippet)
    for name, value in found.items():
        # mise runs what stands in braces as a template, commands included.
        check(name, value, PLAIN)
    settings = {name: "false" for name in cleared(snippet) if name not in found}
    settings |= {name: json.dumps(opened(value)) for name, value in found.items()}
    lines = ["[env]", *[f"{name} = {value}" for name, value in settings.items()]]
    return _comments(snippet) + "\n".join(lines) + "\n"


def undo_mise(snippet: Snippet) -> str:
    return "rm mise.local.toml\n"


def _comments(snippet: Snippet) -> str:
    return "".join(f"# {comment}\n" for comment in comments_of(snippet))


register(
    SnippetFormat(
        key="direnv",
        label="direnv",
        filename="chainweb.envrc",
        language="sh",
        secret=True,
        help=(
            "Put it into .envrc and run `direnv allow`: the AWS identity of that folder. Keep it"
            " out of version control."
        ),
        render=render_direnv,
        undo=undo_direnv,
        systems=(System.MACOS, System.LINUX),
        order=60,
        place=".envrc",
    )
)
register(
    SnippetFormat(
        key="mise",
        label="mise",
        filename="mise.local.toml",
        language="toml",
        secret=True,
        help=(
            "Put it into mise.local.toml: the AWS identity of that folder. Keep it out of version"
            " control."
        ),
        render=render_mise,
        undo=undo_mise,
        order=70,
        place="mise.local.toml",
    )
)
