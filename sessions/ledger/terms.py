"""Name what a line can be found by.

A term is a letter and a value: `k|credential.minted`. On PostgreSQL an index holds a hash of each
term together with its team and its block of lines; migration 0030 makes the same terms in SQL. A
term that is added here needs a migration that replaces that function and remakes the index.
"""

from collections.abc import Iterator
from typing import Any

from sessions.ledger.origin import Origin
from sessions.models import Event

# So many lines share an entry of the index. A search reads block by block, the newest first, and so
# never sorts more lines than these to find the last fifty.
BLOCK = 32_768

WHO = "w"  # who acted, or for whom a worker did
ABOUT = "o"  # whose membership or token it is
SUBJECT = "s"  # the session by id and by alias, the group, token or invitation by id
KIND = "k"  # the kind's tag, and what stands before its dot
ACCOUNT = "a"
ROLE = "r"  # by ARN and by name
NAME = "n"  # a role session name, a source identity, a name in CloudTrail
KEY = "y"
PARENT = "p"  # the key that signed the call
ADDRESS = "i"
ROOT = "t"  # the root of the chain that a credential was issued through

_KEYS = {
    "member": ABOUT,
    "of": ABOUT,
    "group_id": SUBJECT,
    "token_id": SUBJECT,
    "invitation_id": SUBJECT,
    "account": ACCOUNT,
    "role_arn": ROLE,
    "role_session_name": NAME,
    "source_identity": NAME,
    "aws_name": NAME,
    "access_key_id": KEY,
    "old_key_id": KEY,
    "new_key_id": KEY,
    "parent_access_key_id": PARENT,
    "root": ROOT,
}
_ARNS = ("role_arn", "arn", "identity")


def term(letter: str, value: str) -> str:
    """Write a term: what kind of thing it is, and its value."""
    return f"{letter}|{value}"


# Of these terms a line must have one.
Choice = frozenset[str]


def choice(value: str, *letters: str) -> Choice:
    """Return the terms of which a line must have one: a value in any of these places."""
    return frozenset(term(letter, value) for letter in letters)


def choice_of_kinds(*tags: str) -> Choice:
    """Return the terms of which a line of one of these kinds has one."""
    return frozenset(term(KIND, tag) for tag in tags)


def terms_of(event: Event) -> set[str]:
    """Return the terms of a line. A value that is no text is found by nothing."""
    return {term(letter, value) for letter, value in _named(event) if value}


def _named(event: Event) -> Iterator[tuple[str, str]]:
    data = event.data if isinstance(event.data, dict) else {}
    yield WHO, event.actor
    yield KIND, str(event.kind)
    yield KIND, str(event.kind).partition(".")[0]
    yield SUBJECT, event.session_id
    yield SUBJECT, event.session_alias
    people = data.get("for")
    for name in people if isinstance(people, list) else ():
        yield WHO, _text(name)
    for key, letter in _KEYS.items():
        yield letter, _text(data.get(key))
    for key in _ARNS:
        yield ACCOUNT, account_in(_text(data.get(key)))
    yield ADDRESS, Origin.read(data).address
    yield ROLE, _text(data.get("role_arn")).rpartition("/")[2]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def account_in(arn: str) -> str:
    """Return the account of an ARN; empty for text that is none."""
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 else ""
