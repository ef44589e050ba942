"""People lose their rights while secrets are asked for, and a team's ledger is held by somebody."""

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from chaos.databases import connect
from chaos.keeper import CHECKOUT
from chaos.oracle import examine, mark, settle
from chaos.report import Findings, Plan, Scenario, percentile
from chaos.stage import Options, Stage
from chaos.watch import Watch

HELD_SECONDS = 6.0
RACES = 1000
# People are made, raced and removed so many at a time; so many races run at once.
BATCH = 50
AT_ONCE = 4
# A removal begins at some moment within that of its reveals.
SPREAD_SECONDS = 0.06
# More than the web has threads.
READERS = 16
# Below this, a difference of two waits is the machine's.
NOISE_SECONDS = 0.05


class People:
    """A process that makes and removes people (`chaos.people`); for several threads."""

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
def people_of(stage: Stage) -> Iterator[People]:
    environ = stage.environ | {"DATABASE_URL": stage.database_url}
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


# --- 1,000 removals ---------------------------------------------------------------------------------


def remove_people_who_ask_for_secrets(plan: Plan) -> Findings:
    """Remove people while they ask by token and by page: no secret has its event after the removal's."""
    findings = Findings()
    races = 60 if plan.short else RACES
    outcomes: Counter[str] = Counter()
    late: list[str] = []
    # Uncompressed, so that the one credential that all of them share lives through the whole of it.
    options = Options(sessions=1, compression=1.0, lease_seconds=None, workers=1)
    with Stage(options, plan.template) as stage, people_of(stage) as people:
        stage.wait_for_web()
        for begun in range(0, races, BATCH):
            made = people.tell(team="races", people=min(BATCH, races - begun))

            def race(person: dict[str, Any], made: dict[str, Any] = made) -> None:
                _race(stage, people, made["session"], person, outcomes, late)

            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(race, made["people"]))
        after = stage.one(
            "SELECT count(*) FROM chains_event s JOIN chains_event r ON r.team_id = s.team_id AND r.seq < s.seq"
            " WHERE s.kind = 'credential.revealed' AND r.kind = 'member.removed' AND r.data->>'member' = s.actor"
        )
        lines = stage.one(
            "SELECT count(*) FROM chains_event WHERE kind = 'credential.revealed' AND actor LIKE 'races-%%'"
        )
        fault = stage.verify_ledger()
    findings.figures |= {
        "races": races,
        "secrets_handed_out": outcomes["secret"],
        "secrets_after_removal": after + len(late),
        "answers": dict(outcomes),
    }
    findings.expect(after == 0, f"{after} secrets have their line after the removal of their person")
    findings.expect(not late, f"handed out to who was out already: {late[:5]}")
    findings.expect(lines == outcomes["secret"], f"{outcomes['secret']} secrets with {lines} lines")
    findings.expect(not any(outcomes[str(code)] for code in (0, 500, 503)), f"answered: {dict(outcomes)}")
    findings.expect(not fault, f"the ledger does not hold: {fault}")
    findings.expect(outcomes["secret"] > races, f"too few asked before they were out: {dict(outcomes)}")
    return findings


def _race(
    stage: Stage,
    people: People,
    session: str,
    person: dict[str, Any],
    outcomes: "Counter[str]",
    late: list[str],
) -> None:
    """Two ways of asking, each again and again until it is refused, with the removal in between."""
    ways: list[Callable[[], str]] = [
        lambda: _by_token(stage, session, person, "process"),
        lambda: _by_token(stage, session, person, "posix"),
        lambda: _by_page(stage, session, person),
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


def _by_token(stage: Stage, session: str, person: dict[str, Any], form: str) -> str:
    headers = {"Authorization": f"Bearer {person['token']}"}
    return _ask(stage, "GET", f"/api/v1/sessions/{session}/credentials?format={form}", headers)[0]


def _by_page(stage: Stage, session: str, person: dict[str, Any]) -> str:
    cookies = "; ".join(f"{name}={value}" for name, value in person["cookies"].items())
    headers = {"Cookie": cookies, "X-CSRFToken": "c" * 32}
    return _ask(stage, "POST", f"/sessions/{session}/snippets/posix/", headers)[0]


def _ask(stage: Stage, method: str, path: str, headers: dict[str, str]) -> tuple[str, float]:
    """("secret" or the status, seconds)."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection(*stage.web_address, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        status = "secret" if answer.status == http.client.OK and b"ASIA" in body else str(answer.status)
    except (OSError, http.client.HTTPException):
        status = "0"
    finally:
        connection.close()
    return status, time.monotonic() - begun


# --- a held ledger head -----------------------------------------------------------------------------


def hold_the_head_of_one_teams_ledger(plan: Plan) -> Findings:
    """Hold the ledger head of one team: it gets nothing, other teams notice nothing, then all goes on."""
    findings = Findings()
    seconds = HELD_SECONDS / 2 if plan.short else HELD_SECONDS
    with Stage(Options(sessions=plan.few(200)), plan.template) as stage, people_of(stage) as people:
        stage.wait_for_web()
        stage.wait_until_fresh()
        others = people.tell(team="others", people=4)
        settle(stage)
        marked = mark(stage)
        stage.spread(seconds * 4)
        team = stage.one("SELECT id::text FROM chains_team WHERE slug = 'chaos'")
        with Watch(stage, readers=READERS) as seen:
            calm = _waits_of(stage, others, seconds)
            held_at = time.monotonic()
            with connect(stage.database_url) as holder, holder.transaction():
                holder.execute("SELECT 1 FROM chains_ledgerhead WHERE team_id = %s FOR UPDATE", [team])
                from_line = stage.one("SELECT seq FROM chains_ledgerhead WHERE team_id = %s", team)
                meanwhile = _waits_of(stage, others, seconds)
                lines = stage.one("SELECT seq FROM chains_ledgerhead WHERE team_id = %s", team) - from_line
            released_at = time.monotonic()
            stage.wait(lambda: _reads(stage), "the held team is handed out again", 30)
            again = time.monotonic() - released_at
            time.sleep(seconds)
            settle(stage)
        facts = examine(stage, seen, marked)
        findings.take(facts, seen, stage.life_seconds)
        fault = stage.verify_ledger()
        findings.expect(not stage.keeper.unexpected, f"ended by themselves: {stage.keeper.unexpected[:5]}")
    handed_out = sum(
        held_at + 0.5 < one.read_at - time.time() + time.monotonic() < released_at for one in seen.served
    )
    statuses = sorted({status for at, status, _ in seen.failed if held_at < at < released_at + 3})
    before, after = (percentile([wait for _, wait in waits], 0.99) for waits in (calm, meanwhile))
    refused = [status for status, _ in (*calm, *meanwhile) if status != "secret"]
    findings.figures |= {
        "held_seconds": round(seconds, 1),
        "answers_of_the_held_team": statuses,
        "others_p99_seconds": {"calm": round(before, 3), "held": round(after, 3)},
        "others_reads": {"calm": len(calm), "held": len(meanwhile)},
        "again_seconds": round(again, 2),
    }
    findings.expect(lines == 0, f"{lines} lines were written past the one who held the ledger")
    findings.expect(handed_out == 0, f"{handed_out} secrets of the held team were handed out meanwhile")
    findings.expect(set(statuses) <= {503}, f"the held team was answered {statuses}: {seen.failed[:2]}")
    findings.expect(not refused, f"another team was answered {refused[:5]}")
    findings.expect(not fault, f"the ledger does not hold: {fault}")
    findings.aim(
        after <= max(1.2 * before, before + NOISE_SECONDS),
        f"another team's p99 went from {before:.3f} to {after:.3f} s",
    )
    return findings


def _waits_of(stage: Stage, others: dict[str, Any], seconds: float) -> Sequence[tuple[str, float]]:
    """Return the answers and waits of the other team's people, who ask all the time."""
    until = time.monotonic() + seconds
    found: list[tuple[str, float]] = []

    def keep_asking(person: dict[str, Any]) -> None:
        path = f"/api/v1/sessions/{others['session']}/credentials?format=process"
        while time.monotonic() < until:
            found.append(_ask(stage, "GET", path, {"Authorization": f"Bearer {person['token']}"}))
            time.sleep(0.05)

    with ThreadPoolExecutor(len(others["people"])) as pool:
        list(pool.map(keep_asking, others["people"]))
    return found


def _reads(stage: Stage) -> bool:
    session, _ = stage.seeded.sessions[0]
    return stage.ask("GET", f"/api/v1/sessions/{session}/credentials?format=process")[0] == http.client.OK


SCENARIOS = (
    Scenario(
        "removals", "1,000 people removed while they ask for secrets", remove_people_who_ask_for_secrets
    ),
    Scenario("held_head", "one team's ledger held for 6 s", hold_the_head_of_one_teams_ledger),
)
