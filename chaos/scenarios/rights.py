"""People lose their rights while secrets are asked for."""

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from chaos.installation import Installation, Options
from chaos.report import Findings, Plan, Scenario
from tests.harness.processes import CHECKOUT

RACES = 1000
# People are made, raced and removed so many at a time; so many races run at once.
BATCH = 50
AT_ONCE = 4
# A removal begins at some moment within that of its reveals.
SPREAD_SECONDS = 0.06


class People:
    """Start a process that makes and removes people (`chaos.people`), for several threads."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lock = threading.Lock()

    def tell(self, **told: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def people_of(installation: Installation) -> Iterator[People]:
    environ = installation.environ | {"DATABASE_URL": installation.database_url}
    with subprocess.Popen(
        [sys.executable, "-m", "chaos.people"],
        env=environ,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield People(process)
        finally:
            assert process.stdin
            process.stdin.close()


def remove_people_who_ask_for_secrets(plan: Plan) -> Findings:
    """Remove people while they ask by token and by page.

    No secret has its event after the removal's.
    """
    findings = Findings()
    races = 60 if plan.short else RACES
    outcomes: Counter[str] = Counter()
    late: list[str] = []
    # Uncompressed, so that the one credential that all of them share lives through the whole of it.
    options = Options(sessions=1, compression=1.0, lease_seconds=None, workers=1)
    with Installation(options, plan.template) as installation, people_of(installation) as people:
        installation.wait_for_web()
        for begun in range(0, races, BATCH):
            made = people.tell(team="races", people=min(BATCH, races - begun))

            def race(person: dict[str, Any], made: dict[str, Any] = made) -> None:
                _race(installation, people, made["session"], person, outcomes, late)

            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(race, made["people"]))
        after = installation.one(
            "SELECT count(*) FROM chains_event s JOIN chains_event r ON r.team_id = s.team_id AND"
            " r.seq < s.seq WHERE s.kind = 'credential.revealed' AND r.kind = 'member.removed' AND"
            " r.data->>'member' = s.actor"
        )
        lines = installation.one(
            "SELECT count(*) FROM chains_event WHERE kind = 'credential.revealed' AND actor LIKE"
            " 'races-%%'"
        )
        fault = installation.verify_ledger()
    findings.figures |= {
        "races": races,
        "secrets_handed_out": outcomes["secret"],
        "secrets_after_removal": after + len(late),
        "answers": dict(outcomes),
    }
    findings.expect(
        after == 0, f"{after} secrets have their line after the removal of their person"
    )
    findings.expect(not late, f"delivered to who was out already: {late[:5]}")
    findings.expect(lines == outcomes["secret"], f"{outcomes['secret']} secrets with {lines} lines")
    findings.expect(
        not any(outcomes[str(code)] for code in (0, 500, 503)), f"answered: {dict(outcomes)}"
    )
    findings.expect(not fault, f"the ledger does not hold: {fault}")
    findings.expect(
        outcomes["secret"] > races, f"too few asked before they were out: {dict(outcomes)}"
    )
    return findings


def _race(
    installation: Installation,
    people: People,
    session: str,
    person: dict[str, Any],
    outcomes: "Counter[str]",
    late: list[str],
) -> None:
    """Two ways of asking, each again and again until it is refused, with the removal in between."""
    ways: list[Callable[[], str]] = [
        lambda: _by_token(installation, session, person, "process"),
        lambda: _by_token(installation, session, person, "posix"),
        lambda: _by_page(installation, session, person),
    ]
    out = threading.Event()

    def keep_asking(ask: Callable[[], str]) -> None:
        while True:
            is_out = out.is_set()
            outcomes[found := ask()] += 1
            if found != "secret":
                return
            if is_out:
                late.append(person["name"])
                return

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_asking, ask) for ask in random.sample(ways, 2)]
        time.sleep(random.random() * SPREAD_SECONDS)
        people.tell(remove=person["name"], team="races")
        out.set()
        for each in asking:
            each.result()


def _by_token(installation: Installation, session: str, person: dict[str, Any], form: str) -> str:
    headers = {"Authorization": f"Bearer {person['token']}"}
    return ask_for_secret(
        installation, "GET", f"/api/v1/sessions/{session}/credentials?format={form}", headers
    )[0]


def _by_page(installation: Installation, session: str, person: dict[str, Any]) -> str:
    cookies = "; ".join(f"{name}={value}" for name, value in person["cookies"].items())
    headers = {"Cookie": cookies, "X-CSRFToken": "c" * 32}
    return ask_for_secret(installation, "POST", f"/sessions/{session}/snippets/posix/", headers)[0]


def ask_for_secret(
    installation: Installation, method: str, path: str, headers: dict[str, str]
) -> tuple[str, float]:
    """Make one request of somebody's own: ("secret" or the status, seconds)."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection(*installation.web_address, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        status = (
            "secret" if answer.status == http.client.OK and b"ASIA" in body else str(answer.status)
        )
    except (OSError, http.client.HTTPException):
        status = "0"
    finally:
        connection.close()
    return status, time.monotonic() - begun


SCENARIOS = (
    Scenario(
        "removals",
        "1,000 people removed while they ask for secrets",
        remove_people_who_ask_for_secrets,
    ),
)
