"""Name the files that keep a token on a laptop: one pair for each host and team.

The header file is what curl sends, the token file what SDKs read. The second may not end in a line
break: botocore then fails, and the SDK for JavaScript sends no token at all.
"""

import re
from urllib.parse import urlsplit

from sessions.snippets import Snippet

FOLDER = "$HOME/.config/chainweb"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def name_of(snippet: Snippet) -> str:
    """Return the files' name without its end; empty where the team is not known."""
    return name_for(snippet.credentials_url, snippet.team) if snippet.team else ""


def name_for(url: str, team: str) -> str:
    """Return the name of a team's files at the host of that address, without its end."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", f"{urlsplit(url).netloc}-{team}")


def is_on_loopback(url: str) -> bool:
    """Tell whether an address is on this machine: no proxy may get the token then."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def make_files(snippet: Snippet) -> str:
    """Return the command that asks for a token and keeps it, for its owner alone.

    Typed in, not shown, and in no argument list: `read` and `printf` are parts of sh. A file that
    is there already may be readable by others, so it is removed first.
    """
    name = name_of(snippet)
    header, token = (f"{name}.header", f"{name}.token") if name else ("header", "token")
    return (
        "sh -c 'umask 077; mkdir -p ~/.config/chainweb && cd ~/.config/chainweb && "
        f'rm -f {header} {token}; trap "stty echo; exit 1" INT; stty -echo; '
        'printf "Chainweb token: "; read -r token; stty echo; echo; '
        f'printf "Authorization: Bearer %s\\n" "$token" > {header}; '
        f'printf %s "$token" > {token}\''
    )
