"""Write the snippet for PowerShell, Windows' own and PowerShell 7.

One script block: PowerShell reads it to its closing brace before it runs any of it, so a paste that
is cut short sets nothing.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.values import opened


def quoted(text: str) -> str:
    """Quote a verbatim string, in which only the quote means something.

    Typographic quotes, which end it too, are refused before.
    """
    return "'" + text.replace("'", "''") + "'"


def render(snippet: Snippet) -> str:
    setting = [
        f"  $Env:{name} = {quoted(opened(value))}" for name, value in variables(snippet).items()
    ]
    return _block(snippet, setting)


def undo(snippet: Snippet) -> str:
    return _block(snippet, [])


def _block(snippet: Snippet, setting: list[str]) -> str:
    names = [quoted(f"Env:{name}") for name in cleared(snippet)]
    lines = [
        "& {",
        "  Remove-Item -ErrorAction SilentlyContinue -Path @(",
        *["    " + ", ".join(names[start : start + 3]) for start in range(0, len(names), 3)],
        "  )",
        # What Set-AWSCredential and Set-DefaultAWSRegion leave in the session wins over the
        # environment.
        (
            "  Remove-Variable -ErrorAction SilentlyContinue -Scope Global -Name"
            " StoredAWSCredentials, StoredAWSRegion"
        ),
        *setting,
        "}",
    ]
    return "\n".join(lines) + "\n"


register(
    SnippetFormat(
        key="powershell",
        label="PowerShell",
        filename="chainweb.ps1",
        language="powershell",
        secret=True,
        help=(
            "Paste into PowerShell, or dot-source the file. It replaces the AWS identity of that"
            " window."
        ),
        render=render,
        undo=undo,
        group=Group.SHELL,
        systems=(System.WINDOWS, System.LINUX, System.MACOS),
        order=30,
    )
)
