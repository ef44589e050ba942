"""Monitor every active session all the time.

In the database, and some through the web as a tool would.
"""

import collections
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from chaos.installation import Installation
from tests.harness.servers import connect

LOOK_SECONDS = 0.5
# Of so many activations; with more of them it looks less often, since it shares the machine with
# what it looks at.
LOOKED_AT_TWICE_A_SECOND = 2000
# Opened and compared at each look, picked at random.
OPENED_PER_LOOK = 20
SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class Served:
    """Hold a credential that was served with 200.

    The STS must know the triplet. Times are Unix seconds.
    """

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float
    read_at: float


@dataclass
class Seen:
    """Hold what was seen so far.

    `lapsed`: (activation, generation) that had a credential once and then one that was over.
    `least_life_seconds`: the shortest that an active session was seen with. `answers`: the web's
    statuses, 0 for none. `lateness_seconds`: of each rotation seen, how long after its time it was
    written, by account. Moments are those of time.monotonic().
    """

    looks: int = 0
    lapsed: set[tuple[str, int]] = field(default_factory=set)
    first_lapse_at: float = float("inf")
    least_life_seconds: float = float("inf")
    mixed: list[str] = field(default_factory=list)
    answers: collections.Counter[int] = field(default_factory=collections.Counter)
    slowest_seconds: float = 0.0
    slow: int = 0
    failed: list[tuple[float, int, str]] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    served_after_end: list[str] = field(default_factory=list)
    lateness_seconds: dict[str, list[float]] = field(
        default_factory=lambda: collections.defaultdict(list[float])
    )


def paced(every_seconds: float, over: threading.Event) -> Iterator[None]:
    """Yield that often until it is over, and at once after what took longer.

    Who is refused at once asks no more often than who is served: the load is the same.
    """
    at = time.monotonic() + random.uniform(0, every_seconds)
    while not over.wait(max(0.0, at - time.monotonic())):
        yield
        at = max(at + every_seconds, time.monotonic())


class Monitor:
    """Two threads between `with` and its end. `readers`: how many further threads ask the web."""

    def __init__(
        self, installation: Installation, readers: int = 1, pause_seconds: float = 0.1
    ) -> None:
        self.installation, self.readers, self.pause_seconds = installation, readers, pause_seconds
        self.seen = Seen()
        self._over = threading.Event()
        self._due: dict[str, tuple[int, datetime | None]] = {}
        self._error: BaseException | None = None

    def __enter__(self) -> Seen:
        work = [self._look_at_the_database, *[self._read_from_the_web] * self.readers]
        self._threads = [
            threading.Thread(target=self._guarded, args=(one,), daemon=True) for one in work
        ]
        for thread in self._threads:
            thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._error:
            raise self._error

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (raised again in the main thread)
            self._error = error

    # --- the database -----------------------------------------------------------------------------

    def _look_at_the_database(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        pause = LOOK_SECONDS * max(
            1.0, min(4.0, self.installation.seeded.started / LOOKED_AT_TWICE_A_SECOND)
        )
        while not self._over.wait(pause):
            try:
                connection = connection or connect(self.installation.database_url)
                self._look(connection)
                self._open_some(connection)
                self.seen.looks += 1
            except psycopg.OperationalError:  # it is one of those scenarios
                if connection:
                    connection.close()
                connection = None
        if connection:
            connection.close()

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        rows = connection.execute(
            "SELECT a.id::text, c.fingerprint, c.generation, c.due_at, c.minted_at,"
            " split_part(c.request->>'role_arn', ':', 5), CASE WHEN c.sealed IS NULL THEN 0 ELSE"
            " extract(epoch FROM c.expires_at - clock_timestamp())::float8 END FROM"
            " chains_activation a JOIN chains_credential c ON c.fingerprint = a.credential_id WHERE"
            " c.generation > 0"
        )
        for activation, fingerprint, generation, due_at, minted_at, account, life in rows:
            if life <= 0:
                self.seen.lapsed.add((activation, generation))
                # A look comes after the moment, and between two looks somebody may have read.
                self.seen.first_lapse_at = min(self.seen.first_lapse_at, time.monotonic() + life)
            elif life < self.seen.least_life_seconds:
                self.seen.least_life_seconds = life
            before = self._due.get(fingerprint)
            if before and before[0] == generation - 1 and before[1] and minted_at:
                self.seen.lateness_seconds[account].append((minted_at - before[1]).total_seconds())
            if before is None or before[0] != generation:
                self._due[fingerprint] = (generation, due_at)

    def _open_some(self, connection: psycopg.Connection[Any]) -> None:
        start = f"{random.getrandbits(256):064x}"
        for row in connection.execute(
            f"SELECT {CREDENTIAL} FROM chains_credential WHERE sealed IS NOT NULL AND fingerprint"
            " >= %s ORDER BY fingerprint LIMIT %s",
            [start, OPENED_PER_LOOK],
        ):
            if fault := triplet_fault(row):
                self.seen.mixed.append(fault)

    # --- the web ----------------------------------------------------------------------------------

    def _read_from_the_web(self) -> None:
        started = self.installation.seeded.sessions[: self.installation.seeded.started]
        for _ in paced(self.pause_seconds, self._over):
            session, _ = random.choice(started)
            path = f"/api/v1/sessions/{session}/credentials?format=process"
            status, body, seconds = self.installation.ask("GET", path)
            read_at = time.time()
            self.seen.answers[status] += 1
            self.seen.slowest_seconds = max(self.seen.slowest_seconds, seconds)
            if seconds > SLOW_SECONDS:
                self.seen.slow += 1
            if status != http.client.OK:
                self.seen.failed.append(
                    (
                        time.monotonic(),
                        status,
                        " ".join(body.decode(errors="replace").split())[:200],
                    )
                )
                continue
            answer = json.loads(body)
            one = Served(
                answer["AccessKeyId"],
                answer["SecretAccessKey"],
                answer["SessionToken"],
                datetime.fromisoformat(answer["Expiration"]).timestamp(),
                read_at,
            )
            self.seen.served.append(one)
            if one.expires_at <= read_at - seconds:
                self.seen.served_after_end.append(one.access_key_id)


# In the order in which `triplet_fault` takes them.
CREDENTIAL = "fingerprint, team_id, level, access_key_id, sealed, generation, expires_at"


def triplet_fault(row: tuple[Any, ...]) -> str:
    """Open a stored credential and say what is wrong; empty if its three parts belong together."""
    from sessions.credentials.payloads import open_credentials
    from sessions.models import Credential
    from sessions.sealing import SealingError

    names = [name.strip() for name in CREDENTIAL.split(",")]
    credential = Credential(**dict(zip(names, row, strict=True)))
    try:
        found = open_credentials(credential)
    except SealingError as error:
        return f"{credential.fingerprint[:12]} does not open: {error}"
    token = found.session_token.reveal() if found.session_token else ""
    return parts_fault(found.access_key_id, found.secret_access_key.reveal(), token)


def parts_fault(access_key_id: str, secret: str, token: str) -> str:
    """Check that a triplet's parts belong together.

    The STS's secrets and tokens begin with their key id.
    """
    if secret[: len(access_key_id)] == access_key_id == token[: len(access_key_id)]:
        return ""
    return f"{access_key_id} with the secret of {secret[:20]} and the token of {token[:20]}"
