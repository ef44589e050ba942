"""Stop workers past their lease, then let them go on as if nothing had happened."""

import time

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce

LEASE_SECONDS = 4.0


def stop_workers_past_their_lease_and_let_them_go_on(plan: Plan) -> Findings:
    """Stop workers during their calls past the lease, let another take over, and continue them."""
    findings = Findings()
    rounds = 1 if plan.short else 4
    options = Options(
        sessions=plan.few(200),
        lease_seconds=LEASE_SECONDS,
        latency_seconds=1.0,
        environ={"CHAINWEB_STS_THREADS": "8"},
    )
    in_flight: list[int] = []
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        with Monitor(installation) as seen:
            for number in range(rounds):
                quiesce(installation)
                before = installation.make_due()
                stopped = installation.processes.names("worker")
                in_flight.append(_stop_at_work(installation, stopped))
                installation.start_worker(f"late-{number}")
                installation.wait(
                    lambda: installation.minted_since(before),  # noqa: B023
                    "others have minted all",
                    90,
                )
                for name in stopped:
                    installation.processes.go_on(name)
                time.sleep(3)  # they get their answers, and try to write them
                quiesce(installation)
                installation.processes.end(f"late-{number}")
        facts = examine(installation, seen, mark(installation))
        findings.take(facts, seen, installation.life_seconds)
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    stale = [fault for fault in facts.faults if fault.startswith("stale")]
    findings.figures |= {
        "rounds": rounds,
        "in_flight_when_stopped": in_flight,
        "stale_writes": len(stale),
        "mixed": len(seen.mixed),
    }
    findings.expect(facts.wasted >= sum(in_flight), "what was in flight was stored all the same")
    return findings


def _stop_at_work(installation: Installation, names: list[str]) -> int:
    """Stop all of them while the STS is answering some; return how many calls were under way."""
    for _ in range(20):
        installation.wait(lambda: installation.sts.in_flight() > 0, "the STS is called")
        for name in names:
            installation.processes.pause(name)
        if under_way := installation.sts.in_flight():
            return under_way
        for name in names:
            installation.processes.go_on(name)
    raise TimeoutError("no worker was caught with a call under way")


SCENARIOS = (
    Scenario(
        "stopped",
        "SIGSTOP of the workers in the midst of calls, past their lease, then SIGCONT",
        stop_workers_past_their_lease_and_let_them_go_on,
    ),
)
