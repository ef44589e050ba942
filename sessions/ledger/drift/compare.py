"""Compare rows with the ledger: whose act each is, and what is wrong with its session's name.

A key alone proves nothing where the record names another role, session or time. A console uses keys
that nobody issued: its session is found by principal and the second in which it began. What was
assumed with issued credentials, around Chainweb, is traced through the records of those calls.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sessions.aws.hop import DURATION_SECONDS
from sessions.ledger.drift.issued import HOUR, Known, Ledger
from sessions.ledger.drift.kinds import Kind
from sessions.ledger.drift.names import Demands
from sessions.ledger.drift.rows import NO_TIME, clues_of_row, names_nobody
from sessions.ledger.whois.contradictions import SAME_SECOND, began_with, contradictions
from sessions.ledger.whois.lines import Issue
from sessions.models import TrailRecord

MOST_PEOPLE = 5
# What workers themselves do with a root's key, beside AssumeRole.
_BY_WORKERS = frozenset(
    {
        "CreateAccessKey",
        "DeleteAccessKey",
        "GetAccessKeyLastUsed",
        "GetCallerIdentity",
        "ListAccessKeys",
        "UpdateAccessKey",
    }
)
# Another record may say who is behind these.
TRACED = (Kind.AROUND, Kind.UNKNOWN, Kind.PROGRAM, Kind.ROOT)


class Comparison:
    """Compare rows of one team, in batches; each batch reads the ledger a few times."""

    def __init__(self, team_id: UUID) -> None:
        self.ledger = Ledger(team_id)
        self.demands = Demands.of(team_id)

    def compare(self, rows: Sequence[TrailRecord]) -> None:
        """Set what follows from the ledger on each row; nothing is saved."""
        times = [row.at for row in rows if row.at != NO_TIME]
        since, until = (min(times), max(times)) if len(times) == len(rows) else (None, None)
        keys = {row.access_key_id for row in rows} | {_made_key(row) for row in rows}
        known = self.ledger.by_key(keys, since, until)
        root_keys = self.ledger.root_keys({row.access_key_id for row in rows}, since, until)
        left = []
        for row in rows:
            _reset(row)
            if not self._by_key(row, known, root_keys):
                left.append(row)
        self._by_second(left)
        for row in rows:
            self.judge_name(row)

    def _by_key(self, row: TrailRecord, known: dict[str, Known], root_keys: set[str]) -> bool:
        """Decide by a key that Chainweb knows; False: no key does."""
        made = known.get(_made_key(row))
        if made is not None and _fits_call(row, made.issue):
            _set_issued(row, made, "made")
            return True
        used = known.get(row.access_key_id)
        if row.access_key_id in root_keys or (used is not None and not used.issue.hop):
            return self._by_root_key(row, used)
        if used is None:
            return False
        doubts = contradictions(used.issue, clues_of_row(row))
        if doubts:
            row.detail["doubts"] = list(doubts)
            return False
        _set_issued(row, used, "key")
        return True

    def _by_root_key(self, row: TrailRecord, used: Known | None) -> bool:
        """Decide for the key that workers sign with: they make a few calls alone with it.

        A role that was assumed with it and is not in the ledger was assumed around Chainweb.
        """
        of_workers = row.event_name in _BY_WORKERS or (
            row.event_name == "AssumeRole" and row.failed
        )
        if of_workers:
            row.kind, row.detail["matched"] = Kind.ISSUED, "worker"
            row.line = used.issue.seq if used else None
        elif row.detail["alone"] != Kind.NO_CALL:
            row.kind, row.detail["root_key"] = Kind.AROUND, True
            row.people = _own_people(row)
        return True

    def _by_second(self, rows: Iterable[TrailRecord]) -> None:
        """Find sessions by their principal and beginning, whatever key was used."""
        by_hour: dict[datetime, list[TrailRecord]] = {}
        for row in rows:
            if row.began_at is not None and row.session_name and row.role_name:
                hour = row.began_at.replace(minute=0, second=0, microsecond=0)
                by_hour.setdefault(hour, []).append(row)
        for hour, some in by_hour.items():
            found = self.ledger.named({row.session_name for row in some}, hour + HOUR / 2)
            by_name: dict[str, list[Issue]] = {}
            for issue in found:
                by_name.setdefault(issue.role_session_name, []).append(issue)
            keys = [_began(row, by_name.get(row.session_name, ())) for row in some]
            known = self.ledger.by_key(set(keys) - {""}, hour - HOUR, hour + 2 * HOUR)
            for row, key in zip(some, keys, strict=True):
                if key in known:
                    row.detail.pop("doubts", None)
                    _set_issued(row, known[key], "second")

    def judge_name(self, row: TrailRecord) -> None:
        """Set what the policy says of the names in a row; services and programs have their own."""
        of_person = row.kind in {Kind.ISSUED, Kind.AROUND, Kind.UNKNOWN}
        acts = of_person and bool(row.role_name and row.session_name) and not row.detail["center"]
        made = row.detail["made"] if of_person else None
        name_given = made["name"] if made and made["by"].startswith("AssumeRole") else ""
        people = tuple(row.people) if row.kind is Kind.ISSUED and len(row.people) == 1 else ()
        # Of a call that workers made, what it has made is the person's; what it was made with, too.
        breaks = self.demands.breaks
        row.breaks_policy = (acts and breaks(row.session_name, people)) or breaks(
            name_given, people
        )
        lacks = acts and not row.source_identity and not (made and made["identity"])
        row.lacks_identity = lacks and self.demands.source_identity


def trace(rows: Sequence[TrailRecord], makers: Iterable[TrailRecord]) -> list[TrailRecord]:
    """Find who is behind rows in the records of the calls that made their sessions.

    Returns the rows that have changed.
    """
    by_link: dict[str, list[TrailRecord]] = {}
    for maker in makers:
        for link in {maker.made_key, maker.made_session} - {""}:
            by_link.setdefault(link, []).append(maker)
    changed = []
    for row in rows:
        found = by_link.get(row.access_key_id) or by_link.get(row.session_key) or []
        found = [maker for maker in found if maker.pk != row.pk]
        if found and _follow(row, found):
            changed.append(row)
    return changed


def _follow(row: TrailRecord, makers: list[TrailRecord]) -> bool:
    """Take over from the call that made a row's session who acted; False where nothing is new.

    Copies of a call in two accounts are one, and several calls that cannot be told apart are none.
    """
    known = {tuple(maker.people): maker for maker in makers if maker.people}
    if len(known) != 1:
        return False
    [(people, maker)] = known.items()
    is_ours = maker.kind == Kind.ISSUED or maker.detail.get("through")
    if not is_ours and not names_nobody(row):
        return False
    before = row.kind, row.people, row.made_by
    row.kind, row.people, row.made_by = Kind.AROUND, list(people), maker.pk
    row.detail["through"] = bool(is_ours)
    return before != (row.kind, row.people, row.made_by)


def _reset(row: TrailRecord) -> None:
    row.kind = Kind(row.detail["alone"])
    row.line = row.made_by = None
    row.issued_for, row.by_key = "", False
    row.people = _own_people(row)
    row.detail = {
        name: value
        for name, value in row.detail.items()
        if name not in {"doubts", "matched", "root_key", "through"}
    }


def _own_people(row: TrailRecord) -> list[str]:
    return [row.detail["who"]] if row.detail["alone"] == Kind.AROUND and row.detail["who"] else []


def _made_key(row: TrailRecord) -> str:
    made = row.detail["made"]
    return str(made["key"]) if made and not row.failed else ""


def _fits_call(row: TrailRecord, issue: Issue) -> bool:
    """Tell whether a call is the one that issued something: role, name and time have to agree."""
    made = row.detail["made"]
    asked = made["role_arn"], made["name"] or issue.role_session_name
    agrees = asked == (issue.role_arn, issue.role_session_name)
    return bool(issue.hop) and agrees and row.at != NO_TIME and issue.lived_at(row.at)


def _set_issued(row: TrailRecord, known: Known, matched: str) -> None:
    row.kind, row.detail["matched"] = Kind.ISSUED, matched
    row.line, row.issued_for, row.by_key = known.issue.seq, known.session_id, matched == "key"
    row.people = list(known.people[:MOST_PEOPLE])


def _began(row: TrailRecord, issues: Iterable[Issue]) -> str:
    """Return the key issued as that role and name in the second in which a session began.

    Empty where it is none, or one of several.
    """
    assert row.began_at is not None
    clues = replace(clues_of_row(row), access_key_id="")
    fitting = {
        issue.access_key_id
        for issue in issues
        if began_with(issue, row.began_at) and not contradictions(issue, clues, key=False)
    }
    return fitting.pop() if len(fitting) == 1 else ""


def beginnings(issue: Issue) -> Iterator[str]:
    """Yield what `session_key` may be of a session, give or take what its second may differ by."""
    if not issue.principal_id or issue.until is None:
        return
    begun = issue.until.timestamp() - DURATION_SECONDS
    for second in range(-int(SAME_SECOND.total_seconds()), int(SAME_SECOND.total_seconds()) + 1):
        at = datetime.fromtimestamp(begun + second, issue.until.tzinfo)
        yield f"{issue.principal_id} {at:%Y-%m-%dT%H:%M:%SZ}"
