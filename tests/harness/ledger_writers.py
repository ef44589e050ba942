"""Let many writers append to ledgers at once, each append a transaction of its own."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4, uuid5

from django.db import connection, transaction

from sessions import ledger
from sessions.actors import OPERATOR, WORKER
from sessions.ledger import Entry
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.people import TeamCreated

NAMES = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


@dataclass
class Written:
    """Count the appends of each team, and keep what went wrong."""

    seconds: float
    appends: dict[str, int] = field(default_factory=dict)
    problems: list[Exception] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return sum(self.appends.values()) / self.seconds


def begin_teams(count: int) -> list[str]:
    """Begin so many ledgers and return their teams' ids."""
    teams = [str(uuid4()) for _ in range(count)]
    for team in teams:
        with transaction.atomic():
            ledger.append(team, [Entry(TeamCreated(slug="many", name="Many"), OPERATOR)])
    return teams


def write(teams: Sequence[str], *, writers: int, seconds: float) -> Written:
    """Append to the teams' ledgers by so many threads, each to one of them in turn."""
    begun = time.monotonic()
    until, lock, written = begun + seconds, threading.Lock(), Written(seconds)

    def work(number: int) -> None:
        subject = ledger.Subject(uuid4(), "Deploy to production")
        team, appends = teams[number % len(teams)], 0
        try:
            while time.monotonic() < until:
                with transaction.atomic():
                    entry = Entry(minted(1000 * number + appends), WORKER, subject)
                    ledger.append(team, [entry])
                appends += 1
        except Exception as error:  # noqa: BLE001  (the caller looks at them)
            written.problems.append(error)
        finally:
            connection.close()
            with lock:
                written.appends[team] = written.appends.get(team, 0) + appends

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written.seconds = time.monotonic() - begun
    return written


def minted(number: int) -> CredentialMinted:
    """Return an issued credential as workers record them: a renewal with a key of its own."""
    account, name, hop = 444455556666 + number % 50, f"ada-{number % 300}", 1 + number % 2
    return CredentialMinted.read(
        {
            "for": ["ada", "ben"],
            "credential": uuid5(NAMES, f"{account} {name} {hop}").hex * 2,
            "hop": hop,
            "role_arn": f"arn:aws:iam::{account}:role/Deploy",
            "role_session_name": name,
            "access_key_id": f"ASIA{number:016d}",
            "parent_access_key_id": f"ASIA{number // 2:016d}",
            "arn": f"arn:aws:sts::{account}:assumed-role/Deploy/{name}",
            "sts_region": "eu-central-1",
            "expires_at": "2026-11-27T20:44:03+00:00",
            "principal_id": f"AROA{number % 50:016d}:{name}",
            "source_identity": "ada",
            "token_size": 12,
            "request_id": str(uuid4()),
            "root": "59ab8595-e3bc-46b2-8e92-d8909c6e006e",
        }
    )
