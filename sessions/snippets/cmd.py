"""Write the snippet for Windows' cmd.

cmd has no quoting that holds for both a paste and a batch file (a percent sign is read differently
in the two), so only values that mean nothing to it are carried. It runs each line as it comes: the
key's id is set last, so that a paste that is cut short leaves no identity.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.values import PLAIN, check, opened

_LAST = "AWS_ACCESS_KEY_ID"


def render(snippet: Snippet) -> str:
    found = variables(snippet)
    for name, value in found.items():
        check(name, value, PLAIN)
    setting = [f'set "{name}={opened(value)}"' for name, value in found.items() if name != _LAST]
    return _lines([*_clearing(snippet), *setting, f'set "{_LAST}={opened(found[_LAST])}"'])


def undo(snippet: Snippet) -> str:
    return _lines(_clearing(snippet))


def _clearing(snippet: Snippet) -> list[str]:
    return [f'set "{name}="' for name in cleared(snippet)]


def _lines(lines: list[str]) -> str:
    # cmd takes a bare line feed too, also in a batch file without labels.
    return "\n".join(lines) + "\n"


register(
    SnippetFormat(
        key="cmd",
        label="cmd",
        filename="chainweb.cmd",
        language="batch",
        secret=True,
        help=(
            "Paste into a Command Prompt, or `call` the file. It replaces the AWS identity of that"
            " window."
        ),
        render=render,
        undo=undo,
        group=Group.SHELL,
        systems=(System.WINDOWS,),
        order=40,
    )
)
