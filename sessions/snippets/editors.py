"""Write the settings by which VS Code and Dev Containers set the environment of terminals.

In both, null removes a variable, and `${…}` in a value would be replaced.
"""

import json

from sessions.snippets import Group, Snippet, SnippetFormat, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.values import PLAIN, check, comments_of, opened


def render_vscode(snippet: Snippet) -> str:
    environment = _environment(snippet)
    names = [f"terminal.integrated.env.{system}" for system in ("linux", "osx", "windows")]
    return _with_comments(snippet, dict.fromkeys(names, environment))


def render_devcontainer(snippet: Snippet) -> str:
    return _with_comments(snippet, {"remoteEnv": _environment(snippet)})


def undo_vscode(snippet: Snippet) -> str:
    return (
        "Delete the three terminal.integrated.env settings from .vscode/settings.json, and open a"
        " new terminal.\n"
    )


def undo_devcontainer(snippet: Snippet) -> str:
    return "Delete remoteEnv from devcontainer.json, and reopen the folder.\n"


def _environment(snippet: Snippet) -> dict[str, str | None]:
    found = variables(snippet)
    for name, value in found.items():
        check(name, value, PLAIN)
    removed: dict[str, str | None] = dict.fromkeys(cleared(snippet))
    return removed | {name: opened(value) for name, value in found.items()}


def _with_comments(snippet: Snippet, settings: dict[str, dict[str, str | None]]) -> str:
    comments = "".join(f"// {comment}\n" for comment in comments_of(snippet))
    return f"{comments}{json.dumps(settings, indent=2)}\n"


register(
    SnippetFormat(
        key="vscode",
        label="VS Code",
        filename="settings.json",
        language="jsonc",
        secret=True,
        help=(
            "Merge it into .vscode/settings.json and open a new terminal. Keep it out of version"
            " control."
        ),
        render=render_vscode,
        undo=undo_vscode,
        group=Group.INFRASTRUCTURE,
        order=70,
    )
)
register(
    SnippetFormat(
        key="devcontainer",
        label="Dev Containers",
        filename="devcontainer.json",
        language="jsonc",
        secret=True,
        help=(
            "Merge it into a devcontainer.json of your own and reopen the folder. Keep it out of"
            " version control."
        ),
        render=render_devcontainer,
        undo=undo_devcontainer,
        group=Group.INFRASTRUCTURE,
        order=80,
    )
)
