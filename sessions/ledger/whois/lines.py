"""Find the lines of the ledger that a clue leads to, each by an index."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.roots import RootOpened
from sessions.ledger.held import LONGEST_LIFE
from sessions.ledger.origin import Origin
from sessions.ledger.terms import account_in
from sessions.models import Event
from sessions.models.ledger import (
    ACCESS_KEY_ID,
    ADDRESS,
    BY_A_PERSON,
    LATEST,
    MINTED,
    PARENT_KEY_ID,
    ROLE_SESSION_NAME,
    SOURCE_IDENTITY,
    WITH_A_KEY,
)

# A line is written once the answer has come, and clocks differ a little.
TOLERANCE = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class Issue:
    """Hold what was issued by one call: a hop's credential, or a root's, which has no role.

    `people` is for whom. `session_id` and `session_alias` are of whose hop it is, where the line
    says it.
    """

    seq: int
    at: datetime
    until: datetime | None
    access_key_id: str
    sts_region: str
    people: tuple[str, ...]
    session_id: str
    session_alias: str
    hop: int = 0
    parent_access_key_id: str = ""
    arn: str = ""
    role_arn: str = ""
    role_session_name: str = ""
    principal_id: str = ""
    source_identity: str = ""
    request_id: str = ""

    @property
    def account(self) -> str:
        """Return the account of the role, or "" for a root."""
        return account_in(self.role_arn)

    @property
    def role_name(self) -> str:
        return self.role_arn.rpartition("/")[2]

    def lived_at(self, at: datetime) -> bool:
        """Tell whether it was valid then, give or take what clocks differ by."""
        return self.at - TOLERANCE <= at and (self.until is None or at <= self.until + TOLERANCE)


@dataclass(frozen=True)
class Delivery:
    """Hold one time that a person took the credential away, and from where."""

    seq: int
    at: datetime
    person: str
    form: str
    via: str
    origin: Origin
    until: datetime | None
    access_key_id: str
    session_id: str
    session_alias: str


def issue_of(team_id: object, access_key_id: str) -> Issue | None:
    """Return the line that a key was issued by; of several, as for a long-lived one, the last."""
    lines = _with_key(team_id, access_key_id).exclude(kind=CredentialRevealed.tag)
    line = lines.first()
    return issue_in(line) if line else None


def deliveries_of(team_id: object, access_key_id: str, most: int) -> list[Delivery]:
    """List who took that credential away, the first first; at most so many, the last ones."""
    lines = _with_key(team_id, access_key_id).filter(kind=CredentialRevealed.tag)[:most]
    return [delivery_in(line) for line in reversed(lines)]


def issued_under(team_id: object, access_key_ids: Iterable[str], most: int) -> list[Issue]:
    """List what was issued in calls that these keys signed."""
    found = _minted(team_id).alias(by=PARENT_KEY_ID).filter(by__in=list(access_key_ids))
    return [issue_in(line) for line in found.order_by(LATEST)[:most]]


def named(team_id: object, session_name: str, at: datetime | None, most: int) -> list[Issue]:
    """List what was issued under a role session name, the last first; with `at` what lived then."""
    lines = _minted(team_id).alias(by=ROLE_SESSION_NAME).filter(by=session_name)
    return _living(team_id, lines, at, most)


def with_source_identity(
    team_id: object, source_identity: str, at: datetime | None, most: int
) -> list[Issue]:
    """List what was issued with a source identity, as `named` does."""
    lines = _minted(team_id).alias(by=SOURCE_IDENTITY).filter(by=source_identity)
    return _living(team_id, lines, at, most)


def from_address(team_id: object, address: str, most: int) -> list[Event]:
    """List what people did from an address, the last first."""
    lines = Event.objects.filter(BY_A_PERSON, team_id=str(team_id)).alias(by=ADDRESS)
    return list(lines.filter(by=address).order_by(LATEST)[:most])


def _living(team_id: object, lines: QuerySet[Event], at: datetime | None, most: int) -> list[Issue]:
    if at is not None:
        begin, end = _numbers(team_id, at - LONGEST_LIFE - TOLERANCE, at + TOLERANCE)
        lines = lines.filter(seq__range=(begin, end))
    found = (issue_in(line) for line in lines.order_by(LATEST)[:most])
    return [issue for issue in found if at is None or issue.lived_at(at)]


def _numbers(team_id: object, since: datetime, until: datetime) -> tuple[int, int]:
    """Return the numbers of the first and last line in that time; an empty range for none."""
    lines = Event.objects.filter(team_id=str(team_id))
    first = lines.filter(at__gte=since).order_by("at").values_list("seq", flat=True).first()
    last = lines.filter(at__lte=until).order_by("-at").values_list("seq", flat=True).first()
    return first or 1, last or 0


def _minted(team_id: object) -> QuerySet[Event]:
    return Event.objects.filter(MINTED, team_id=str(team_id))


def _with_key(team_id: object, access_key_id: str) -> QuerySet[Event]:
    lines = Event.objects.filter(WITH_A_KEY, team_id=str(team_id)).alias(by=ACCESS_KEY_ID)
    return lines.filter(by=access_key_id).order_by(LATEST)


def issue_in(line: Event) -> Issue:
    """Read what a line says was issued."""
    if line.kind == RootOpened.tag:
        root = RootOpened.read(line.data)
        return Issue(
            seq=line.seq,
            at=line.at,
            until=root.expires_at,
            access_key_id=root.access_key_id,
            sts_region=root.sts_region or "",
            people=root.people,
            session_id=line.session_id,
            session_alias=line.session_alias,
        )
    said = CredentialMinted.read(line.data)
    return Issue(
        seq=line.seq,
        at=line.at,
        until=said.expires_at,
        access_key_id=said.access_key_id,
        parent_access_key_id=said.parent_access_key_id,
        hop=said.hop,
        arn=said.arn,
        role_arn=said.role_arn,
        role_session_name=said.role_session_name,
        principal_id=said.principal_id,
        source_identity=said.source_identity,
        sts_region=said.sts_region,
        request_id=said.request_id,
        people=said.people,
        session_id=line.session_id,
        session_alias=line.session_alias,
    )


def delivery_in(line: Event) -> Delivery:
    """Read what a line says was taken away."""
    said = CredentialRevealed.read(line.data)
    return Delivery(
        seq=line.seq,
        at=line.at,
        person=line.actor,
        form=said.form,
        via=said.via,
        origin=Origin.read(line.data),
        until=said.expires_at,
        access_key_id=said.access_key_id,
        session_id=line.session_id,
        session_alias=line.session_alias,
    )
