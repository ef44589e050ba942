"""Kill workers, and see how soon others take over."""

import random
import time

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce
from tests.harness.proc import connected_to

KILL_EVERY_SECONDS = 2.0
# Mostly as a container dies; now and then less tidily.
WAYS = ("group", "group", "parent", "child")
# With these words Celery ends a worker one of whose children was killed while it was starting; then
# it is started again.
KILLED_AT_START = "Could not start worker processes"
# Of a worker, each with as many threads for calls as the installation says.
POOL_CHILDREN = 2


def kill_a_random_worker_every_two_seconds(plan: Plan) -> Findings:
    findings = Findings()
    seconds = plan.minutes * 60
    with Installation(Options(sessions=plan.sessions, workers=3), plan.template) as installation:
        installation.wait_for_web()
        first = installation.wait_until_fresh(600)
        quiesce(installation)
        marked = mark(installation)
        answered_before = installation.sts.count()["by_code"].get("ok", 0)
        # In a short run everything is rotated once all the same.
        installation.spread(min(seconds * 0.8, installation.life_seconds))
        kills = most_orphans = 0
        with Monitor(installation) as seen:
            begun = time.monotonic()
            while time.monotonic() - begun < seconds:
                time.sleep(KILL_EVERY_SECONDS)
                installation.processes.kill(
                    random.choice(installation.processes.names("worker")), random.choice(WAYS)
                )
                kills += 1
                most_orphans = max(most_orphans, installation.processes.orphans())
        facts = examine(installation, seen, marked)
        orphans = installation.wait(
            lambda: not installation.processes.orphans(), "no orphan is left", 90
        )
        findings.take(facts, seen, installation.life_seconds)
        unexpected = [
            each for each in installation.processes.unexpected if KILLED_AT_START not in each
        ]
        killed_at_start = len(installation.processes.unexpected) - len(unexpected)
        in_flight = POOL_CHILDREN * installation.threads
    findings.figures |= {
        "kills": kills,
        "wasted_per_kill": round(facts.wasted / max(kills, 1), 2),
        # Without the first minting, while nobody was killed.
        "double_issue_percent_of_rotations": round(
            100 * (facts.wasted + facts.early) / max(facts.calls - answered_before, 1), 3
        ),
        "first_mint_seconds": round(first, 1),
        "most_orphans": most_orphans,
        "orphans_gone_seconds": round(orphans, 1),
        "ended_by_themselves": unexpected,
        "ended_since_a_child_was_killed_at_start": killed_at_start,
    }
    findings.aim(
        facts.double_issue_percent <= 1, f"{facts.double_issue_percent:.2f} % issued twice"
    )
    findings.expect(facts.wasted <= kills * in_flight, "more issued twice than were in flight")
    findings.expect(not unexpected, f"processes ended by themselves: {unexpected[:5]}")
    findings.expect(
        set(seen.answers) <= {200}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}"
    )
    return findings


def kill_the_worker_that_waits_for_sts_and_time_the_take_over(plan: Plan) -> Findings:
    """Kill the worker that waits for STS, and time until another calls STS for the same hop.

    Lease and minutes are those of production.
    """
    findings = Findings()
    options = Options(
        sessions=4, started=0, compression=1.0, lease_seconds=None, latency_seconds=3.0
    )
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait(
            lambda: len(installation.processes.pool("worker-1")) > 0, "workers have children"
        )
        installation.start_session(0)
        installation.wait(lambda: installation.is_active(0), "the first session is active")
        took: list[float] = []
        active: list[float] = []
        with Monitor(installation, readers=0) as seen:
            for number in range(1, 2 if plan.short else 4):
                before = installation.sts.count()["requests"]
                installation.start_session(number)
                installation.wait(
                    lambda: installation.sts.count()["requests"] > before,  # noqa: B023
                    "the STS is called",
                )
                held = [
                    name
                    for name in installation.processes.names("worker")
                    if connected_to(installation.sts_port, installation.processes.members(name))
                ]
                for name in held:
                    installation.processes.kill(name)
                killed = time.monotonic()
                active.append(
                    installation.wait(lambda: installation.is_active(number), "taken over", 120)  # noqa: B023
                )
                took.append(
                    min(call["at"] for call in installation.sts.calls() if call["at"] > killed)
                    - killed
                )
        findings.take(examine(installation, seen), seen, installation.life_seconds)
    findings.figures |= {
        "takeover_seconds": round(max(took), 1),
        "takeovers": [round(one, 1) for one in took],
        "active_seconds": [round(one, 1) for one in active],
    }
    findings.aim(max(took) <= 35, f"taken over after {max(took):.0f} s")
    return findings


SCENARIOS = (
    Scenario(
        "kills",
        "SIGKILL of a random worker (group, parent or child) every 2 s",
        kill_a_random_worker_every_two_seconds,
    ),
    Scenario(
        "takeover",
        "SIGKILL in the midst of a call, lease of production: who takes over, when",
        kill_the_worker_that_waits_for_sts_and_time_the_take_over,
    ),
)
