"""Look up in bulk what the ledger says was issued, and who took it."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.roots import RootOpened
from sessions.ledger.held import LONGEST_LIFE
from sessions.ledger.search import Lines
from sessions.ledger.terms import KEY, NAME, PARENT, Choice, term
from sessions.ledger.whois.candidates import distinct
from sessions.ledger.whois.lines import TOLERANCE, Issue, issue_in
from sessions.models import AwsSession, Event
from sessions.models.ledger import (
    ACCESS_KEY_ID,
    MINTED,
    PARENT_KEY_ID,
    ROLE_SESSION_NAME,
    WITH_A_KEY,
)

# So many values are looked up at once, and so many kept from one batch to the next.
AT_ONCE = 500
MOST_KEPT = 20_000
HOUR = timedelta(hours=1)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """Hold what was issued, and for or by whom it was taken."""

    issue: Issue
    people: tuple[str, ...]
    session_id: str


def known_of(lines: Iterable[Event]) -> dict[str, Known]:
    """Return {access key id: what was issued with it}, from its lines, the oldest first."""
    issues: dict[str, Issue] = {}
    takers: dict[str, list[Event]] = {}
    for line in lines:
        if line.kind == CredentialRevealed.tag:
            key = CredentialRevealed.read(line.data).access_key_id
            takers.setdefault(key, []).append(line)
        elif line.kind in {CredentialMinted.tag, RootOpened.tag}:
            issue = issue_in(line)
            issues[issue.access_key_id] = issue
    return {key: _known(issue, takers.get(key, [])) for key, issue in issues.items()}


def _known(issue: Issue, taken: list[Event]) -> Known:
    people = distinct(each.actor for each in taken) or issue.people
    # A credential that several sessions share is that of the session it was taken through.
    through = issue.session_id or (taken[-1].session_id if taken else "")
    return Known(issue, people, through)


class Ledger:
    """Answer for one team, batch after batch; what was looked up before is remembered."""

    def __init__(self, team_id: object) -> None:
        self.team_id = str(team_id)
        self._known: dict[str, Known] = {}
        # Since when a key was looked for in vain.
        self._missing: dict[str, datetime] = {}
        self._root_keys: set[str] | None = None

    def by_key(
        self, keys: Collection[str], since: datetime | None, until: datetime | None
    ) -> dict[str, Known]:
        """Return what was issued with these keys and may have been used in that time."""
        if len(self._known) + len(self._missing) > MOST_KEPT:
            self._known.clear()
            self._missing.clear()
        begin = since or EVER
        wanted = [
            key
            for key in sorted(set(keys) - self._known.keys() - {""})
            if key not in self._missing or begin < self._missing[key]
        ]
        for some in _parts(wanted):
            found = known_of(self._with_keys(some, since, until))
            self._known |= found
            self._missing |= dict.fromkeys(set(some) - found.keys(), begin)
        return {key: self._known[key] for key in keys if key in self._known}

    def named(self, names: Collection[str], began_at: datetime) -> list[Issue]:
        """List what was issued under these names within an hour around that time."""
        since, until = began_at - HOUR - TOLERANCE, began_at + HOUR + TOLERANCE
        return [
            issue_in(line)
            for some in _parts(sorted(names))
            for line in self._named(some, since, until)
        ]

    def root_keys(
        self, keys: Collection[str], since: datetime | None, until: datetime | None
    ) -> set[str]:
        """Return those of the keys that workers sign with: a root's now, or of then."""
        if self._root_keys is None:
            roots = AwsSession.objects.filter(
                team_id=self.team_id, settings__has_key="access_key_id"
            )
            settings = roots.values_list("settings", flat=True)
            self._root_keys = {str(each["access_key_id"]) for each in settings}
        long_lived = sorted(key for key in set(keys) - self._root_keys if key.startswith("AKIA"))
        found = {
            CredentialMinted.read(line.data).parent_access_key_id
            for some in _parts(long_lived)
            for line in self._signed_with(some, since, until)
        }
        return self._root_keys | found

    def _with_keys(
        self, keys: list[str], since: datetime | None, until: datetime | None
    ) -> list[Event]:
        # Whoever takes a credential does so while it lives.
        since = since - LONGEST_LIFE - TOLERANCE if since else None
        until = until + LONGEST_LIFE + TOLERANCE if until else None
        return self._lines(KEY, keys, since, until)

    def _named(self, names: list[str], since: datetime, until: datetime) -> list[Event]:
        return self._lines(NAME, names, since, until)

    def _signed_with(
        self, keys: list[str], since: datetime | None, until: datetime | None
    ) -> list[Event]:
        since, until = since - HOUR if since else None, until + HOUR if until else None
        return self._lines(PARENT, keys, since, until)

    def _lines(
        self, letter: str, values: list[str], since: datetime | None, until: datetime | None
    ) -> list[Event]:
        """Return the lines that have one of many values, the oldest first."""
        if connection.vendor == "postgresql":
            wanted: Choice = frozenset(term(letter, value) for value in values)
            return list(Lines(self.team_id, (wanted,), since, until).each())
        # SQLite has an index of each place; as many queries as values would cost more than one.
        condition, column = _INDEXED[letter]
        lines = Event.objects.filter(condition).alias(by=column).filter(by__in=values)
        if letter == NAME:
            # A name has any number of lines; of two hours there are few, by the index of times.
            lines = lines.filter(team_id=self.team_id, at__gte=since, at__lt=until)
        ours = (line for line in lines if line.team_id == self.team_id)
        return sorted(ours, key=lambda line: line.seq)


_INDEXED = {
    KEY: (WITH_A_KEY, ACCESS_KEY_ID),
    NAME: (MINTED, ROLE_SESSION_NAME),
    PARENT: (MINTED, PARENT_KEY_ID),
}


def _parts(values: list[str]) -> Iterator[list[str]]:
    return (values[begin : begin + AT_ONCE] for begin in range(0, len(values), AT_ONCE))
