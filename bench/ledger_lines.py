"""Write a large team's ledger through append: days of sessions that are renewed and taken."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4, uuid5

from django.db import connection, transaction

from sessions import ledger
from sessions.actors import OPERATOR, WORKER, NamedActor
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.people import TeamCreated
from sessions.ledger.origin import Origin, asked_from

# 5,000 credentials that are always renewed make so many lines a day.
A_DAY = 190_000
PEOPLE, SESSIONS, HUBS, ROOTS = 300, 1000, 20, 4
SHARED_NAME = "deploy"
# In a round, so many credentials are issued, and one person takes those that are theirs alone.
ISSUED, TAKEN = 400, 80
ROUND = ISSUED + TAKEN
# Each so manyth is a hub's, whose key signs the next ones' calls.
A_HUB = 20


@dataclass(frozen=True)
class LargeLedger:
    """Hold a team, and what in the middle of its ledger somebody may ask about."""

    team: str
    lines: int
    leaf: CredentialMinted
    hub: CredentialMinted
    at: datetime
    person: str
    last_person: str
    address: str
    root: str


def fill(count: int) -> LargeLedger:
    """Write about so many lines, the last of them of now."""
    team, now = str(uuid4()), database_now()
    with transaction.atomic():
        ledger.append(team, [Entry(TeamCreated(slug="large", name="Large"), OPERATOR)])
    rounds = max(math.ceil(count / ROUND), 2)
    for number in range(rounds):
        _write(team, number, _time(number, rounds, now))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE chains_event")
    middle = rounds // 2
    at = _time(middle, rounds, now)
    issued = list(_issued(middle, at))
    return LargeLedger(
        team=team,
        lines=ledger.length(team),
        leaf=issued[4][1],
        hub=issued[0][1],
        at=at,
        person=issued[4][1].people[0],
        last_person=_person(rounds - 1),
        address=_origin(middle).address,
        root=issued[4][1].root,
    )


def _time(number: int, rounds: int, now: datetime) -> datetime:
    return now - timedelta(days=(rounds - 1 - number) * ROUND / A_DAY)


def _write(team: str, number: int, at: datetime) -> None:
    """Write one round: what workers issue, and what a person takes of it."""
    issued = list(_issued(number, at))
    taker, origin = NamedActor(_person(number)), _origin(number)
    taken = [(session, said) for session, said in issued if said.people == (taker.username,)]
    with transaction.atomic():
        head = ledger.hold(team)
        assert head is not None
        head.read_at = at
        ledger.append(head, [Entry(said, WORKER, session) for session, said in issued])
        with asked_from(lambda: origin):
            ledger.append(head, [Entry(_taken(said), taker, session) for session, said in taken])


def issued_by(number: int, count: int) -> list[tuple[ledger.Subject, CredentialMinted]]:
    """Return so many of what one more round would issue."""
    return list(_issued(1_000_000 + number, database_now()))[:count]


def _issued(number: int, at: datetime) -> Iterator[tuple[ledger.Subject, CredentialMinted]]:
    signed_by, hub = "", 0
    for place in range(ISSUED):
        total = number * ISSUED + place
        is_hub = place % A_HUB == 0
        if is_hub:
            hub = (total // A_HUB) % HUBS
        session = total % SESSIONS
        person = _person(number) if place % 4 == 0 else _person(session)
        root = hub % ROOTS
        key = f"ASIA{total:016d}"
        yield (
            _session("hub" if is_hub else "session", hub if is_hub else session),
            _minted(
                key,
                root_key(root) if is_hub else signed_by,
                hop=1 if is_hub else 2,
                role=f"Hub{hub}" if is_hub else f"Deploy{session % 50}",
                account=111122220000 + hub if is_hub else 444455550000 + session % 100,
                name=SHARED_NAME if total % 50 == 1 else person,
                people=(person, "ben") if is_hub else (person,),
                root=str(uuid5(NAMES, f"root {root}")),
                at=at,
            ),
        )
        signed_by = key if is_hub else signed_by


def _minted(
    key: str,
    parent: str,
    *,
    hop: int,
    role: str,
    account: int,
    name: str,
    people: tuple[str, ...],
    root: str,
    at: datetime,
) -> CredentialMinted:
    return CredentialMinted(
        people=people,
        credential=uuid5(NAMES, f"{role} {name}").hex * 2,
        hop=hop,
        role_arn=f"arn:aws:iam::{account}:role/{role}",
        role_session_name=name,
        access_key_id=key,
        parent_access_key_id=parent,
        arn=f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        sts_region="eu-central-1",
        expires_at=at + timedelta(hours=1),
        principal_id=f"AROA{uuid5(NAMES, f'{account} {role}').hex[:17].upper()}:{name}",
        source_identity=people[0],
        token_size=12,
        request_id=str(uuid5(NAMES, key)),
        root=root,
    )


def _taken(said: CredentialMinted) -> CredentialRevealed:
    return CredentialRevealed(
        access_key_id=said.access_key_id,
        credential=said.credential,
        expires_at=said.expires_at,
        form="process",
        via="token laptop",
        account=said.role_arn.split(":")[4],
    )


NAMES = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def root_key(root: int) -> str:
    """Return the key of an IAM user by which workers begin chains."""
    return f"AKIA{root:016d}"


def _person(number: int) -> str:
    return f"user-{number % PEOPLE:03d}"


def _session(kind: str, number: int) -> ledger.Subject:
    return ledger.Subject(uuid5(NAMES, f"{kind} {number}"), f"{kind.capitalize()} {number}")


def _origin(number: int) -> Origin:
    person = number % PEOPLE
    return Origin(
        address=f"192.0.2.{person % 250}",
        client="aws-cli/2.33.2 Python/3.13 Linux/6.8",
        token_id=str(uuid5(NAMES, f"token {person}")),
        token="laptop",
    )
