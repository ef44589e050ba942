"""Hold a row of one team: its own, or the head of its ledger."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from chaos.installation import Installation, Options
from chaos.monitor import Monitor, Seen, paced
from chaos.report import Findings, Plan, Scenario, percentile
from chaos.scenarios.rights import ask_for_secret, people_of
from chaos.verifier import examine, mark, quiesce
from tests.harness.servers import connect

HELD_SECONDS = 6.0
# More than the web has threads, of those who wait for the row that is held; some of the others.
MANY, FEW = 16, 2
# Together less than this machine can answer, so that what others wait for is the lock's doing.
READ_EVERY_SECONDS = 0.4
OTHERS_READ_EVERY_SECONDS = 0.1
CHANGE_EVERY_SECONDS = 2.0
LONGEST_REFUSAL_SECONDS = 3.0
# Below this, a difference of two waits is the machine's.
NOISE_SECONDS = 0.05


@dataclass
class Period:
    """Keep the answers given in the calm, or while the row was held.

    To other teams, and to changes in the team itself.
    """

    others: Sequence[tuple[str, float]]
    changes: Sequence[tuple[int, float]]

    def p99(self) -> float:
        return percentile([seconds for _, seconds in self.others], 0.99)

    def statuses(self) -> dict[str, int]:
        return dict(Counter(str(status) for status, _ in self.changes))


@dataclass
class Held:
    """Keep what one run measured; moments are those of time.monotonic()."""

    calm: Period
    held: Period
    held_at: float
    released_at: float
    # So many were written to the team's ledger meanwhile.
    lines: int
    again_seconds: float

    def handed_out(self, seen: Seen) -> int:
        """Count the held team's secrets that were delivered meanwhile."""
        offset = time.monotonic() - time.time()
        return sum(
            self.held_at + 0.5 < one.read_at + offset < self.released_at for one in seen.served
        )

    def refusals(self, seen: Seen) -> list[int]:
        """List the statuses of those who asked for the held team's secrets in vain."""
        return sorted(
            {status for at, status, _ in seen.failed if self.held_at < at < self.released_at + 3}
        )


def hold_the_head_of_one_teams_ledger(plan: Plan) -> Findings:
    """Hold the ledger head of one team.

    The team gets nothing, other teams notice nothing, then all goes on.
    """
    findings, seen, found = _hold(plan, "chains_ledgerhead", "team_id", readers=MANY, changers=FEW)
    handed_out, refusals = found.handed_out(seen), found.refusals(seen)
    findings.figures["answers_of_the_held_team"] = refusals
    findings.expect(
        found.lines == 0, f"{found.lines} lines were written past the one who held the ledger"
    )
    findings.expect(
        handed_out == 0, f"{handed_out} secrets of the held team were delivered meanwhile"
    )
    findings.expect(
        set(refusals) <= {503}, f"the held team was answered {refusals}: {seen.failed[:2]}"
    )
    return findings


def hold_the_row_of_one_team(plan: Plan) -> Findings:
    """Hold the row of one team: changes wait in vain, what it has is renewed and delivered."""
    findings, seen, found = _hold(plan, "chains_team", "id", readers=FEW, changers=MANY)
    handed_out = found.handed_out(seen)
    findings.figures["handed_out_meanwhile"] = handed_out
    findings.expect(not seen.failed, f"who asked for secrets was answered {seen.failed[:3]}")
    findings.expect(handed_out > 0, "nothing of the held team was delivered meanwhile")
    return findings


def _hold(
    plan: Plan, table: str, column: str, *, readers: int, changers: int
) -> tuple[Findings, Seen, Held]:
    """Hold a row of one team, beside its people and those of another.

    The expectations hold for whichever row it is.
    """
    findings = Findings()
    seconds = HELD_SECONDS / 2 if plan.short else HELD_SECONDS
    with (
        Installation(Options(sessions=plan.few(200)), plan.template) as installation,
        people_of(installation) as people,
    ):
        installation.wait_for_web()
        installation.wait_until_fresh()
        others = people.tell(team="others", people=4)
        quiesce(installation)
        marked = mark(installation)
        installation.spread(seconds * 4)
        team = installation.one("SELECT id::text FROM chains_team WHERE slug = 'chaos'")

        def lines() -> int:
            return int(
                installation.one("SELECT seq FROM chains_ledgerhead WHERE team_id = %s", team)
            )

        with Monitor(installation, readers, READ_EVERY_SECONDS) as seen:
            calm = _period(installation, others, seconds, changers)
            with connect(installation.database_url) as holder, holder.transaction():
                holder.execute(f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE", [team])
                held_at, before = time.monotonic(), lines()
                held = _period(installation, others, seconds, changers)
                written = lines() - before
            released_at = time.monotonic()
            installation.wait(
                lambda: _reads(installation) and _changes(installation),
                "the held team is served again",
                30,
            )
            found = Held(calm, held, held_at, released_at, written, time.monotonic() - released_at)
            time.sleep(seconds)
            quiesce(installation)
        facts = examine(installation, seen, marked)
        findings.take(facts, seen, installation.life_seconds)
        fault = installation.verify_ledger()
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    before_p99, after_p99 = calm.p99(), held.p99()
    longest = max((wait for _, wait in held.changes), default=0.0)
    findings.figures |= {
        "held_seconds": round(seconds, 1),
        "lines_meanwhile": found.lines,
        "changes": {"calm": calm.statuses(), "held": held.statuses()},
        "refused": held.statuses().get("503", 0),
        "longest_refusal_seconds": round(longest, 2),
        "others_p99_seconds": {"calm": round(before_p99, 3), "held": round(after_p99, 3)},
        "others_reads": {"calm": len(calm.others), "held": len(held.others)},
        "again_seconds": round(found.again_seconds, 2),
    }
    refused = [status for status, _ in (*calm.others, *held.others) if status != "secret"]
    findings.expect(not refused, f"another team was answered {refused[:5]}")
    findings.aim(set(calm.statuses()) == {"200"}, f"changes in the calm: {calm.statuses()}")
    findings.expect(set(held.statuses()) == {"503"}, f"changes in the held team: {held.statuses()}")
    findings.expect(not fault, f"the ledger does not hold: {fault}")
    findings.aim(
        longest <= LONGEST_REFUSAL_SECONDS, f"a change was refused only after {longest:.1f} s"
    )
    findings.aim(
        after_p99 <= max(1.2 * before_p99, before_p99 + NOISE_SECONDS),
        f"another team's p99 went from {before_p99:.3f} to {after_p99:.3f} s",
    )
    return findings, seen, found


def _period(
    installation: Installation, others: dict[str, Any], seconds: float, changers: int
) -> Period:
    """Have the other team's people ask, and the team's own member start sessions, all the time."""
    over = threading.Event()
    waits: list[tuple[str, float]] = []
    changes: list[tuple[int, float]] = []

    def keep_asking(person: dict[str, Any]) -> None:
        path = f"/api/v1/sessions/{others['session']}/credentials?format=process"
        for _ in paced(OTHERS_READ_EVERY_SECONDS, over):
            waits.append(
                ask_for_secret(
                    installation, "GET", path, {"Authorization": f"Bearer {person['token']}"}
                )
            )

    def keep_changing() -> None:
        for _ in paced(CHANGE_EVERY_SECONDS, over):
            changes.append(
                installation.start_session(random.randrange(installation.seeded.started))
            )

    with ThreadPoolExecutor(len(others["people"]) + changers) as pool:
        asking = [pool.submit(keep_asking, each) for each in others["people"]]
        asking += [pool.submit(keep_changing) for _ in range(changers)]
        over.wait(seconds)
        over.set()
        for each in asking:
            each.result()
    return Period(waits, changes)


def _reads(installation: Installation) -> bool:
    session, _ = installation.seeded.sessions[0]
    return (
        installation.ask("GET", f"/api/v1/sessions/{session}/credentials?format=process")[0]
        == http.client.OK
    )


def _changes(installation: Installation) -> bool:
    return installation.start_session(0)[0] == http.client.OK


SCENARIOS = (
    Scenario("held_head", "one team's ledger held for 6 s", hold_the_head_of_one_teams_ledger),
    Scenario("held_row", "one team's row held for 6 s", hold_the_row_of_one_team),
)
