"""Find the lines of the ledger that a clue leads to, each by an index."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.roots import RootOpened
from sessions.ledger.held import LONGEST_LIFE
from sessions.ledger.origin import Origin
from sessions.ledger.search import Lines
from sessions.ledger.terms import (
    ACCOUNT,
    ADDRESS,
    KEY,
    NAME,
    PARENT,
    ROLE,
    account_in,
    choice,
    choice_of_kinds,
    term,
)
from sessions.ledger.whois.clues import Clues
from sessions.models import Event

# A line is written once the answer has come, and clocks differ a little.
TOLERANCE = timedelta(minutes=2)
MINTED = choice_of_kinds(CredentialMinted.tag)
ISSUES = choice_of_kinds(CredentialMinted.tag, RootOpened.tag)
DELIVERIES = choice_of_kinds(CredentialRevealed.tag)


@dataclass(frozen=True, kw_only=True)
class Issue:
    """Hold what was issued by one call: a hop's credential, or a root's, which has no role.

    `people` is for whom. `delivery` and `device`: it is scoped, for that delivery and that device
    alone. `session_id` and `session_alias` are of whose hop it is, where the line
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
    root_id: str = ""
    delivery: str = ""
    device: str = ""

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


def issue_of(team_id: object, access_key_id: str, *, before: int | None = None) -> Issue | None:
    """Return the line that a key was issued by; of several, as for a long-lived one, the last.

    `before`: the last of those before the line of that number.
    """
    lines = Lines(str(team_id), (ISSUES, choice(access_key_id, KEY)))
    return next(map(issue_in, lines.newest(1, before=before)), None)


def deliveries_of(team_id: object, access_key_id: str, most: int) -> list[Delivery]:
    """List who took that credential away, the first first; at most so many, the last ones."""
    lines = Lines(str(team_id), (DELIVERIES, choice(access_key_id, KEY)))
    return [delivery_in(line) for line in reversed(lines.newest(most))]


def issued_under(team_id: object, access_key_ids: Iterable[str], most: int) -> list[Issue]:
    """List what was issued in calls that these keys signed, the last first."""
    signed = frozenset(term(PARENT, key) for key in access_key_ids)
    return [issue_in(line) for line in Lines(str(team_id), (MINTED, signed)).newest(most)]


def named(team_id: object, name: str, clues: Clues, most: int) -> list[Issue]:
    """List what was issued under a role session name or source identity, the last first.

    Of the role and account of the clues, and what lived when they say.
    """
    wanted = [MINTED, choice(name, NAME)]
    if clues.role_name:
        wanted.append(choice(clues.role_name, ROLE))
    if clues.account.isdigit():
        wanted.append(choice(clues.account, ACCOUNT))
    lines = Lines(str(team_id), tuple(wanted))
    if clues.began_at is not None:
        lines = replace(
            lines, since=clues.began_at - TOLERANCE, until=clues.began_at + 2 * TOLERANCE
        )
    elif clues.at is not None:
        lines = _around(lines, clues.at)
    return [issue_in(line) for line in lines.newest(most)]


def living_for_role(team_id: object, role_arn: str, at: datetime, most: int) -> list[Issue]:
    """List what was issued for a role and lived at a moment, the last first."""
    lines = Lines(str(team_id), (MINTED, choice(role_arn, ROLE)))
    found = map(issue_in, _around(lines, at).newest(most))
    return [issue for issue in found if issue.lived_at(at)]


def from_address(team_id: object, address: str, most: int) -> list[Event]:
    """List what people did from an address, the last first."""
    return Lines(str(team_id), (choice(address, ADDRESS),)).newest(most)


def _around(lines: Lines, at: datetime) -> Lines:
    """Select those of some lines that can have issued what lived at a moment."""
    return replace(lines, since=at - LONGEST_LIFE - TOLERANCE, until=at + TOLERANCE)


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
        root_id=said.root,
        delivery=said.delivery,
        device=said.device,
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
