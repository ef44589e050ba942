"""Write commands that give one tool the credentials and leave the terminal as it is."""

from sessions.secret import Secret
from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.posix import quoted
from sessions.snippets.values import PRINTABLE, check, credentials_of, opened

_PULUMI_NAMES = ("aws:accessKey", "aws:secretKey", "aws:token", "aws:region")


def render_cdk(snippet: Snippet) -> str:
    """Write a subshell, so that nothing of it is left in the terminal."""
    setting = [f"{name}={quoted(opened(value))}" for name, value in variables(snippet).items()]
    names = cleared(snippet)
    unset = [" ".join(names[start : start + 4]) for start in range(0, len(names), 4)]
    return (
        f" ( unset {_continued(unset)} &&\n export {_continued(setting)} &&\n"
        " npx cdk deploy --all )\n"
    )


def render_pulumi(snippet: Snippet) -> str:
    """Write the stack's settings; secret ones go by standard input, not in an argument list."""
    credentials = credentials_of(snippet)
    settings: dict[str, str | Secret] = {
        "aws:accessKey": credentials.access_key_id,
        "aws:secretKey": credentials.secret_access_key,
    }
    if credentials.session_token is not None:
        settings["aws:token"] = credentials.session_token
    for name, value in [*settings.items(), ("aws:region", snippet.region)]:
        check(name, value, PRINTABLE)
    commands = [
        f"printf %s {quoted(opened(value))} | pulumi config set --secret {name}"
        for name, value in settings.items()
    ]
    if "aws:token" not in settings:
        commands.append("pulumi config rm aws:token")
    region = f"pulumi config set aws:region {quoted(snippet.region)}"
    # A profile of the stack would be looked for on this computer; most stacks have none to remove.
    profile = "{ pulumi config rm aws:profile 2>/dev/null || true; }"
    return " " + " &&\n ".join([profile, *commands, region]) + "\n"


def undo_pulumi(snippet: Snippet) -> str:
    return "".join(f"pulumi config rm {name}\n" for name in _PULUMI_NAMES)


def _continued(words: list[str]) -> str:
    return " \\\n  ".join(words)


register(
    SnippetFormat(
        key="pulumi",
        label="Pulumi",
        filename="chainweb-pulumi.sh",
        language="sh",
        secret=True,
        help="Run it in the folder of the stack, which keeps the credentials encrypted.",
        render=render_pulumi,
        undo=undo_pulumi,
        group=Group.INFRASTRUCTURE,
        systems=(System.MACOS, System.LINUX),
        order=20,
    )
)
register(
    SnippetFormat(
        key="cdk",
        label="CDK",
        filename="chainweb-cdk.sh",
        language="sh",
        secret=True,
        help="Run it in the folder of the app. The terminal keeps its own AWS identity.",
        render=render_cdk,
        group=Group.INFRASTRUCTURE,
        systems=(System.MACOS, System.LINUX),
        order=30,
    )
)
