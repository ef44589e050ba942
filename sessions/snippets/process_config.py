"""Write a profile of ~/.aws/config that fetches fresh credentials by curl at each use.

The tools disagree about the command line: botocore splits it into words as a shell would but runs
no shell, so it expands no `$HOME`; the SDKs for Go, Java and JavaScript hand the whole line to `sh
-c`. A line of plain words and one single-quoted script means the same to both: `sh` is run, with
that script.
"""

from sessions.snippets import Group, Snippet, SnippetFormat, System, register
from sessions.snippets.ini import section
from sessions.snippets.token_files import FOLDER, is_on_loopback, make_files, name_of
from sessions.snippets.values import FILE_VALUE, URL, check, check_profile


def render(snippet: Snippet) -> str:
    check_profile(snippet.profile)
    check("region", snippet.region, FILE_VALUE)
    check("The address of the API", snippet.credentials_url, URL)
    settings = {"region": snippet.region, "credential_process": _command(snippet)}
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
        f"  {make_files(snippet)}",
    )
    header = snippet.profile if snippet.profile == "default" else f"profile {snippet.profile}"
    return section(header, settings, comments)


def _command(snippet: Snippet) -> str:
    """Return the line that asks the API, and hands on its message when it refuses.

    -q keeps ~/.curlrc out; -g takes the brackets of an IPv6 address as they are. Redirects are not
    followed: the token goes to this address alone, and past a proxy on this machine.
    """
    url, name = snippet.credentials_url, name_of(snippet)
    no_proxy = '--noproxy "*" ' if is_on_loopback(url) else ""
    # The file of before there was one for each host and team is good as well.
    header = f'h="{FOLDER}/header"; '
    if name:
        header = f'h="{FOLDER}/{name}.header"; test -r "$h" || h="{FOLDER}/header"; '
    return (
        f'sh -c \'{header}a="$(curl -qgsS -m 20 {no_proxy}-w "%{{http_code}}" -H "@$h" "{url}")"; '
        'case "$a" in *200) printf "%s\\n" "${a%200}";; '
        '*) printf "%s\\n" "${a%???}" >&2; exit 1;; esac\''
    )


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
