"""Answer what somebody has pasted, whatever it is."""

from dataclasses import dataclass

from sessions.aws.cloudtrail.files import LONGEST_PASTE, Unreadable, read_text
from sessions.aws.cloudtrail.reading import Reading, read
from sessions.aws.cloudtrail.records import Record
from sessions.ledger.whois.answers import Whois, whois
from sessions.ledger.whois.clues import (
    clues_of,
    clues_of_record,
    looks_like_a_record,
)

# A person asks about a call, or a few lines of a log; a whole file is another page's.
MOST_RECORDS = 50


class CannotRead(ValueError):
    """Say why what was pasted is no question, with line and column."""


@dataclass(frozen=True)
class Asked:
    """Hold one answer, and for a record of CloudTrail what the record itself says."""

    answer: Whois
    reading: Reading | None = None


@dataclass(frozen=True)
class Answers:
    """Hold one answer for a value, or one for each record; `unread` says what was left out."""

    found: tuple[Asked, ...]
    unread: tuple[str, ...] = ()


def ask(team_id: object, text: str) -> Answers:
    """Answer from a team's ledger. Raises `CannotRead` where there is nothing to answer."""
    if len(text) > LONGEST_PASTE:
        raise CannotRead(f"That is too long: {LONGEST_PASTE // 1000} kB at most.")
    if looks_like_a_record(text):
        records, unread = _records(text)
        found = (Asked(whois(team_id, clues_of_record(each)), read(each)) for each in records)
        return Answers(tuple(found), tuple(unread))
    clues = clues_of(text)
    if clues is None:
        raise CannotRead("Paste a key id, an ARN, a name, an address or an event of CloudTrail.")
    return Answers((Asked(whois(team_id, clues)),))


def _records(text: str) -> tuple[list[Record], list[str]]:
    found = read_text(text)
    records = [each for each in found if isinstance(each, Record)]
    unread = [str(each) for each in found if isinstance(each, Unreadable)]
    if not records:
        raise CannotRead(unread[0] if unread else "There is no event of CloudTrail in it.")
    if len(records) > MOST_RECORDS:
        raise CannotRead(f"That is {len(records)} events; paste at most {MOST_RECORDS}.")
    return records, unread
