"""Write a profile of ~/.aws/config that fetches fresh credentials by curl at each use.

The tools disagree about the command line: botocore splits it into words as a shell would but runs
no shell, so it expands no `$HOME`; the SDKs for Go, Java and JavaScript hand the whole line to `sh
-c`. A line of plain words and one single-quoted script means the same to both: `sh` is run, with
that script.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.ini import section
from sessions.snippets.values import FILE_VALUE, URL, check, check_profile

# Typed in, not shown, and in no argument list: `read` and `printf` are parts of sh. A file that is
# there already may be readable by others, so it is removed first.
MAKE_HEADER_FILE = (
    "sh -c 'umask 077; mkdir -p ~/.config/chainweb && rm -f ~/.config/chainweb/header; trap \"stty"
    ' echo; exit 1" INT; stty -echo; printf "Chainweb token: "; read -r token; stty echo; echo;'
    ' printf "Authorization: Bearer %s\\n" "$token" > ~/.config/chainweb/header\''
)


def render(snippet: Snippet) -> str:
    check_profile(snippet.profile)
    check("region", snippet.region, FILE_VALUE)
    check("The address of the API", snippet.credentials_url, URL)
    settings = {"region": snippet.region, "credential_process": _command(snippet.credentials_url)}
    if snippet.endpoint_url:
        check("endpoint_url", snippet.endpoint_url, URL)
        settings["endpoint_url"] = snippet.endpoint_url
    comments = (
        "Asks Chainweb at each use, so it is always fresh; nothing secret is in this file.",
        (
            "A section of the same name in ~/.aws/credentials wins over it, and AWS_* variables do"
            " where no --profile is given."
        ),
        (
            "Once on each computer, this command asks for your token and keeps it, for you alone,"
            " in a header file:"
        ),
        f"  {MAKE_HEADER_FILE}",
    )
    header = snippet.profile if snippet.profile == "default" else f"profile {snippet.profile}"
    return section(header, settings, comments)


def _command(url: str) -> str:
    # -g takes the brackets of an IPv6 address as they are; -f makes an error of the API an error of
    # curl, so that its page is not read as credentials. Redirects are not followed: the token goes
    # to this address alone.
    return f'sh -c \'curl -gfsS -m 20 -H "@$HOME/.config/chainweb/header" "{url}"\''


register(
    SnippetFormat(
        key="process-config",
        label="credential_process profile",
        filename="config",
        language="ini",
        secret=False,
        help=(
            "Put it into ~/.aws/config; use it with --profile. It fetches "
            "current credentials at each use with a token of yours, which "
            "stays in a separate file. For macOS, Linux and WSL: it needs sh "
            "and curl."
        ),
        render=render,
        group=Group.REFRESHING,
        systems=(System.MACOS, System.LINUX),
        order=50,
    )
)
