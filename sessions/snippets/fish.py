"""Write the snippet for fish, which knows no `unset` and no `export`.

One block: fish reads it to its last `end` before it runs any of it, so a paste that is cut short
sets nothing.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.posix import quoted
from sessions.snippets.values import opened


def render(snippet: Snippet) -> str:
    return _block(
        snippet,
        [f"  set -gx {name} {quoted(opened(value))}" for name, value in variables(snippet).items()],
    )


def undo(snippet: Snippet) -> str:
    return _block(snippet, [])


def _block(snippet: Snippet, setting: list[str]) -> str:
    names = cleared(snippet)
    rows = [" ".join(names[start : start + 4]) for start in range(0, len(names), 4)]
    lines = [
        # The first blank keeps the keys out of the history.
        " begin",
        "  for name in \\",
        " \\\n".join(f"    {row}" for row in rows),
        "    set -e -g $name",
        # A universal variable that is exported cannot be hidden in one terminal (an unexported
        # global one does not), so it keeps its value and is exported no more, which is said.
        "    if set -q -U -x $name",
        "      set -U -u $name $$name",
        '      echo "The universal variable $name is no longer exported." >&2',
        "    end",
        "  end",
        *setting,
        " end",
    ]
    return "\n".join(lines) + "\n"


register(
    SnippetFormat(
        key="fish",
        label="fish",
        filename="chainweb.fish",
        language="fish",
        secret=True,
        help="Paste into fish, or source the file. It replaces the AWS identity of that terminal.",
        render=render,
        undo=undo,
        group=Group.SHELL,
        systems=(System.MACOS, System.LINUX),
        order=20,
    )
)
