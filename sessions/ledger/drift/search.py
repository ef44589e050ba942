"""Find records by what they turned out to be, the newest first; no search counts or skips rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from sessions.actors import Actor
from sessions.ledger.chain import Entry, append
from sessions.ledger.drift.kinds import Finding, Kind
from sessions.ledger.events.trail import TrailRead
from sessions.models import TrailImport, TrailRecord

# Beyond this a page says "more than".
COUNTED = 1000
CALLS = {
    "denied": Q(denied=True),
    "changes": Q(changes=True, failed=False),
    "failed": Q(failed=True),
}


@dataclass(frozen=True)
class TrailSearch:
    """Hold what to look for; what is empty is not looked at.

    `session`: the id of the session that Chainweb issued the used key for; `call`, one of `CALLS`,
    is for the calls of a session.
    `after`: the time and number of the last record of the page before.
    """

    finding: Kind | Finding | None = None
    import_id: UUID | None = None
    key: str = ""
    session: str = ""
    call: str = ""
    after: tuple[datetime, int] | None = None

    @classmethod
    def read(
        cls, finding: str = "", import_id: str = "", key: str = "", call: str = "", cursor: str = ""
    ) -> Self:
        """Read it from an address. Raises ValueError."""
        after = None
        if cursor:
            at, _, number = cursor.partition(" ")
            after = datetime.fromisoformat(at), int(number)
            if after[0].tzinfo is None or not 0 <= after[1] < 2**63:
                raise ValueError("That is no cursor.")
        if call and call not in CALLS:
            raise ValueError("There is no such kind of call.")
        if "\0" in key:
            raise ValueError("No key has such a character.")
        return cls(
            _finding(finding) if finding else None,
            UUID(import_id) if import_id else None,
            key.strip()[:128],
            "",
            call,
            after,
        )

    def asked(self) -> dict[str, str]:
        """Return what an address says of it, without the page."""
        said = {
            "finding": self.finding or "",
            "import": str(self.import_id or ""),
            "key": self.key,
            "session": self.session,
            "call": self.call,
        }
        return {name: str(value) for name, value in said.items() if value}


def _finding(text: str) -> Kind | Finding:
    try:
        return Kind(text)
    except ValueError:
        return Finding(text)


def cursor_of(row: TrailRecord) -> str:
    """Write where a page behind this record begins."""
    return f"{row.at.isoformat()} {row.pk}"


def imports_of(team_id: UUID, most: int, *, before: datetime | None = None) -> list[TrailImport]:
    """List a team's imports, the newest first."""
    imports = TrailImport.objects.filter(team=team_id).exclude(state="deleting")
    imports = imports.filter(created_at__lt=before) if before else imports
    return list(imports.select_related("session").order_by("-created_at")[:most])


def records_of(team_id: UUID, search: TrailSearch, most: int) -> list[TrailRecord]:
    """List the records that a search finds, the newest first."""
    rows = _rows(team_id, search)
    if search.after:
        at, number = search.after
        rows = rows.filter(Q(at__lt=at) | Q(at=at, pk__lt=number), at__lte=at)
    return list(rows.order_by("-at", "-pk")[:most])


def count_of(team_id: UUID, search: TrailSearch) -> int:
    """Count what a search finds, up to one more than `COUNTED`."""
    return _rows(team_id, search).order_by("-at", "-pk")[: COUNTED + 1].count()


def counts_of(team_id: UUID) -> dict[Kind | Finding, int]:
    """Count each finding, each by its own index."""
    every: list[Kind | Finding] = [*Kind, *Finding]
    return {each: count_of(team_id, TrailSearch(each)) for each in every}


def record_of_team(team_id: UUID, record_id: int) -> TrailRecord | None:
    """Return one record that counts."""
    if not 0 < record_id < 2**63:
        return None
    return _rows(team_id, TrailSearch()).filter(pk=record_id).first()


def _rows(team_id: UUID, search: TrailSearch) -> QuerySet[TrailRecord]:
    shown = TrailImport.objects.filter(team=team_id, is_shown=True)
    if search.import_id:
        shown = shown.filter(pk=search.import_id)
    # Read first: of a join the planner does not know that nearly all rows count.
    ids = list(shown.values_list("pk", flat=True))
    rows = TrailRecord.objects.filter(team=team_id, trail_import__in=ids)
    match search.finding:
        case Finding.BREAKS_POLICY:
            rows = rows.filter(breaks_policy=True)
        case Finding.LACKS_IDENTITY:
            rows = rows.filter(lacks_identity=True)
        case Kind():
            rows = rows.filter(kind=search.finding)
    if search.key:
        rows = rows.filter(~Q(access_key_id=""), access_key_id=search.key)
    if search.session:
        rows = rows.filter(~Q(issued_for=""), issued_for=search.session, by_key=True)
    return rows.filter(CALLS[search.call]) if search.call else rows


def record_read(actor: Actor, search: dict[str, str]) -> None:
    """Record that somebody read imported records."""
    with transaction.atomic():
        append(actor.team_id, [Entry(TrailRead(search=search), actor)])
