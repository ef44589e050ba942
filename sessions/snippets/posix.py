"""Write the snippet for POSIX shells: sh, dash, bash, ksh, zsh.

One command list from the first word to the last. A paste that is cut short runs nothing, and if
`unset` fails (a read-only variable; fish, which has no `unset`), `&&` keeps the rest from running:
nothing is half set.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.values import opened


def quoted(text: str) -> str:
    """Quote a value as one word for sh, zsh (with any option) and fish alike.

    Single quotes, because nothing is expanded in them, history included; the quote and the
    backslash stand in double quotes between, because fish reads a backslash in single quotes as an
    escape.
    """
    special = {"'": "'\"'\"'", "\\": "'\"\\\\\"'"}
    return "'" + "".join(special.get(character, character) for character in text) + "'"


def render(snippet: Snippet) -> str:
    # No comment line: zsh runs a pasted "#". The first blank keeps the keys out of the history
    # where shells heed that.
    setting = [f"{name}={quoted(opened(value))}" for name, value in variables(snippet).items()]
    return f" {_unset(snippet)} &&\n export {_continued(setting)}\n"


def undo(snippet: Snippet) -> str:
    return f" {_unset(snippet)}\n"


def _unset(snippet: Snippet) -> str:
    names = cleared(snippet)
    lines = [" ".join(names[start : start + 4]) for start in range(0, len(names), 4)]
    return f"unset {_continued(lines)}"


def _continued(words: list[str]) -> str:
    return " \\\n  ".join(words)


register(
    SnippetFormat(
        key="posix",
        label="bash, zsh",
        filename="chainweb.sh",
        language="sh",
        secret=True,
        help=(
            "Paste into bash, zsh, dash or ksh, or source the file. It "
            "replaces the AWS identity of that terminal."
        ),
        render=render,
        undo=undo,
        group=Group.SHELL,
        systems=(System.MACOS, System.LINUX),
        order=10,
    )
)
