"""Count which role session names are in use, by whom, and what is wrong with some.

A name is what CloudTrail shows of a person. The lines of the ledger are counted from time to time,
each once, so that no page reads them all and no worker counts while it issues.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from django.db import connection, transaction
from django.db.models import Count, Max, Q

from sessions.ledger.chain import length
from sessions.ledger.console import BY_NAME, events_in_console
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.terms import account_in
from sessions.models import AssumerLink, Event, Membership, NamesCounted, NameUse, Team, TeamPolicy

# So many lines are read in one transaction, which locks nothing that others wait for.
LINES_AT_ONCE = 5000
# Names are looked through so many at a time, and no further than that for one page.
PART = 200
MOST_PARTS = 20

Key = tuple[str, str, str, str]


class Finding(StrEnum):
    """Name what may be wrong with a name."""

    SHARED = "shared"
    SEVERAL_PEOPLE = "several-people"
    BREAKS_POLICY = "breaks-policy"


@dataclass(frozen=True)
class Name:
    """Hold one role session name: who used it, through what, when, and what is wrong with it.

    `role_arn` is of any role of the team: it tells AWS's partition.
    """

    name: str
    people: tuple[str, ...]
    sessions: tuple[str, ...]
    accounts: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    uses: int
    findings: tuple[Finding, ...]
    role_arn: str = ""

    @property
    def cursor(self) -> str:
        """Write where a page behind this name begins."""
        return f"{self.last_at.isoformat()} {self.name}"

    @property
    def console(self) -> str:
        """Return the address of CloudTrail's console with the events of that name."""
        return events_in_console(BY_NAME, self.name, self.role_arn)


def count_all() -> None:
    """Count what was added to each team's ledger since it was last counted."""
    for team_id in map(str, Team.objects.values_list("pk", flat=True)):
        while count_some(team_id):
            pass


def count_some(team_id: str) -> bool:
    """Count the next lines of a team's ledger; False at its end, and where somebody else counts."""
    with transaction.atomic():
        NamesCounted.objects.bulk_create([NamesCounted(team_id=team_id)], ignore_conflicts=True)
        counted = (
            NamesCounted.objects.select_for_update(skip_locked=True).filter(pk=team_id).first()
        )
        end = length(team_id)
        if counted is None or counted.seq >= end:
            return False
        upto = min(counted.seq + LINES_AT_ONCE, end)
        lines = Event.objects.filter(
            team_id=team_id, seq__gt=counted.seq, seq__lte=upto, kind=CredentialMinted.tag
        )
        _add(team_id, lines.order_by("seq").values_list("at", "session_alias", "data"))
        counted.seq = upto
        counted.save(update_fields=["seq"])
    return upto < end


def uncounted(team_id: object) -> int:
    """Return how many lines of the ledger are not counted yet."""
    counted = NamesCounted.objects.filter(pk=str(team_id)).values_list("seq", flat=True).first()
    return length(team_id) - (counted or 0)


@dataclass(frozen=True)
class NameSearch:
    """Hold what to list: names with a text in them or in a person's, and with something wrong.

    `after`: the last name of the page before, by when it was last used and by its text.
    """

    text: str = ""
    finding: Finding | None = None
    after: tuple[datetime, str] | None = None

    @classmethod
    def read(cls, text: str, finding: str, cursor: str) -> Self:
        """Read it from an address. Raises ValueError."""
        after = None
        if cursor:
            at, _, name = cursor.partition(" ")
            after = datetime.fromisoformat(at), name
            if after[0].tzinfo is None or "\0" in name:
                raise ValueError("That is no cursor.")
        if "\0" in text:
            raise ValueError("No name has such a character.")
        return cls(text.strip()[:64], Finding(finding) if finding else None, after)


def names_of(team: Team, search: NameSearch, most: int) -> list[Name]:
    """List a team's names, the last used first, at most so many."""
    policy = TeamPolicy.of(team.pk)
    members = Membership.objects.filter(team=team)
    handles = dict(members.values_list("user__username", "user__aws_name"))
    links = AssumerLink.objects.filter(session__team=team)
    role_arn = links.values_list("role_arn", flat=True).first() or ""
    found: list[Name] = []
    after = search.after
    for _ in range(MOST_PARTS):
        part = _part(team.pk, policy, handles, replace(search, after=after))
        found += [each for each in part if search.finding in {None, *each.findings}]
        if len(found) >= most or len(part) < PART:
            break
        after = part[-1].last_at, part[-1].name
    return [replace(each, role_arn=role_arn) for each in found[:most]]


def _part(
    team_id: object, policy: TeamPolicy, handles: Mapping[str, str], search: NameSearch
) -> list[Name]:
    """Return the next names, whatever is wrong with them, but for what SQL can leave out."""
    uses = NameUse.objects.filter(team_id=str(team_id))
    named = uses
    if search.text:
        theirs = uses.filter(person__icontains=search.text).values("name")
        named = uses.filter(Q(name__icontains=search.text) | Q(name__in=theirs))
    names = named.values("name").annotate(
        last=Max("last_at"),
        people=Count("person", distinct=True),
        shared_uses=Count("pk", filter=Q(shared=True)),
    )
    if search.finding is Finding.SHARED:
        names = names.filter(shared_uses__gt=0)
    if search.finding is Finding.SEVERAL_PEOPLE:
        names = names.filter(people__gt=1)
    if search.after:
        last, name = search.after
        names = names.filter(Q(last__lt=last) | Q(last=last, name__gt=name))
    page = [each["name"] for each in names.order_by("-last", "name")[:PART]]
    by_name: dict[str, list[NameUse]] = {name: [] for name in page}
    for use in uses.filter(name__in=page).order_by("-last_at"):
        by_name[use.name].append(use)
    return [_name(name, known, policy, handles) for name, known in by_name.items()]


def _name(
    name: str, uses: Sequence[NameUse], policy: TeamPolicy, handles: Mapping[str, str]
) -> Name:
    people = tuple(dict.fromkeys(use.person for use in uses if use.person))
    findings = []
    if any(use.shared for use in uses):
        findings.append(Finding.SHARED)
    if len(people) > 1:
        findings.append(Finding.SEVERAL_PEOPLE)
    demanded = policy.username_demanded or policy.names_locked
    if demanded and any(handles.get(each, each).lower() not in name.lower() for each in people):
        findings.append(Finding.BREAKS_POLICY)
    return Name(
        name,
        people,
        tuple(dict.fromkeys(use.session for use in uses if use.session)),
        tuple(dict.fromkeys(use.account for use in uses if use.account)),
        min(use.first_at for use in uses),
        max(use.last_at for use in uses),
        sum(use.uses for use in uses),
        tuple(findings),
    )


@dataclass
class _Count:
    first_at: datetime
    last_at: datetime
    uses: int = 0
    shared: bool = False


def _add(team_id: str, lines: Iterable[tuple[datetime, str, dict[str, Any]]]) -> None:
    counts: dict[Key, _Count] = {}
    for at, session, data in lines:
        said = CredentialMinted.read(data)
        account = account_in(said.role_arn)
        for number, person in enumerate(said.people or ("",)):
            key = (said.role_session_name[:64], person, session, account[:12])
            count = counts.setdefault(key, _Count(at, at))
            count.last_at = at
            # What was issued for several people at once is one use.
            count.uses += number == 0
            count.shared |= len(said.people) > 1
    adapt = connection.ops.adapt_datetimefield_value
    rows = [
        (team_id, *key, adapt(each.first_at), adapt(each.last_at), each.uses, each.shared)
        for key, each in counts.items()
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(UPSERT, rows)


UPSERT = (
    "INSERT INTO chains_nameuse AS known"
    " (team_id, name, person, session, account, first_at, last_at, uses, shared)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (team_id, name, person, session, account) DO UPDATE SET"
    " last_at = excluded.last_at, uses = known.uses + excluded.uses,"
    " shared = known.shared OR excluded.shared"
)
