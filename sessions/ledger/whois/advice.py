"""Say what to look up next, for each kind of answer."""

import ipaddress
from collections.abc import Iterator, Sequence

from sessions.ledger.whois.clues import Clues
from sessions.ledger.whois.lines import Delivery, Issue


def of_root_key(foreign: str) -> tuple[str, ...]:
    """Advise on a root's own key, of which somebody else may have made a call."""
    if foreign:
        return ("Rotate the root's key now, and look up every call with it in CloudTrail.",)
    return (
        "This is a root's key, which workers sign with. Paste the event of the call: the key in"
        " its answer leads to a person.",
    )


def of_issue(
    issue: Issue, taken: Sequence[Delivery], people: Sequence[str], address: str, foreign: str
) -> tuple[str, ...]:
    """Advise on one credential."""
    if foreign:
        return (
            "Look up every call with this key in CloudTrail, revoke the role's sessions, and find"
            " out who can read the workers' memory.",
        )
    steps = []
    if not people:
        steps.append(
            f"Nobody needed it when it was issued. Look at the events around event {issue.seq}."
        )
    elif len(people) > 1:
        steps.append("Compare the addresses and clients of the deliveries with those of the call.")
    elif not taken:
        steps.append("It was delivered to nobody: workers signed with it to assume the next role.")
    known = {each.origin.address for each in taken} - {""}
    if known and _is_address(address) and address not in known:
        steps.append(f"The call came from {address}; the key was never delivered there.")
    return tuple(steps)


def of_several(clues: Clues, *, certain: bool) -> tuple[str, ...]:
    """Advise where several credentials fit."""
    if certain:
        return ()
    if clues.record is None:
        return ("Paste a whole event of CloudTrail: its key and time tell people apart.",)
    return ("Paste the event of the AssumeRole call: the key in its answer is one person's.",)


def of_address(people: Sequence[str], *, more: bool) -> tuple[str, ...]:
    """Advise on an address, which is nobody's own."""
    if not people:
        return ("Nobody acted in Chainweb from there. A call to AWS may come from another.",)
    steps = ["Several people may share an address: paste the event's key or ARN."]
    if more:
        steps.append("Only the last events from there are counted here; search all of them.")
    return tuple(steps)


def where_else(clues: Clues, doubts: Sequence[str]) -> tuple[str, ...]:
    """Say where to look for what Chainweb has not issued in this team.

    With doubts it has issued the key, and to another session than the record's.
    """
    return tuple(_of_session(clues) if doubts else [*_of_key(clues), *_of_session(clues)]) or (
        "It names no key, role session or source identity to look for.",
    )


def _of_key(clues: Clues) -> Iterator[str]:
    key = clues.access_key_id
    if not key:
        return
    yield f"“aws sts get-access-key-info --access-key-id {key}” names its account."
    if key.startswith("AKIA"):
        yield "It is a long-lived key: the IAM credential report of that account says whose."
    else:
        yield (
            "Look up the AssumeRole event whose answer has this key, and paste it; a console uses"
            " keys of its own, so paste the whole event where it came from one."
        )


def _of_session(clues: Clues) -> Iterator[str]:
    name = clues.session_name
    if name and clues.began_at is not None:
        began = f"{clues.began_at:%Y-%m-%d %H:%M:%S} UTC"
        yield (
            f"Nothing was issued as {name} when the session began, {began}: it was begun without"
            " this team. Look up the AssumeRole event of that second."
        )
    if name:
        yield (
            "Look in your other teams, then in the role's trust policy for who else may assume it."
        )
    elif clues.principal_id:
        yield (
            "Everybody who assumes a role has its id: add a colon and the session name."
            if clues.principal_id.startswith("AROA")
            else "It is the id of another IAM entity; Chainweb issues role sessions only."
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
