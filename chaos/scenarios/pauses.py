"""Workers that stand still past its lease and then goes on as if nothing had been."""

import time

from chaos.oracle import examine, mark, quiesce
from chaos.report import Findings, Plan, Scenario
from chaos.stage import Options, Stage
from chaos.watch import Watch

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
    with Stage(options, plan.template) as stage:
        stage.wait_for_web()
        stage.wait_until_fresh()
        with Watch(stage) as seen:
            for number in range(rounds):
                quiesce(stage)
                before = stage.make_due()
                stopped = stage.keeper.names("worker")
                in_flight.append(_stop_at_work(stage, stopped))
                stage.start_worker(f"late-{number}")
                stage.wait(lambda: stage.minted_since(before), "others have minted all", 90)  # noqa: B023
                for name in stopped:
                    stage.keeper.go_on(name)
                time.sleep(3)  # they get their answers, and try to write them
                quiesce(stage)
                stage.keeper.end(f"late-{number}")
        facts = examine(stage, seen, mark(stage))
        findings.take(facts, seen, stage.life_seconds)
        findings.expect(
            not stage.keeper.unexpected, f"ended by themselves: {stage.keeper.unexpected[:5]}"
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


def _stop_at_work(stage: Stage, names: list[str]) -> int:
    """Stops all of them while the STS is answering some; returns how many calls were under way."""
    for _ in range(20):
        stage.wait(lambda: stage.sts.in_flight() > 0, "the STS is called")
        for name in names:
            stage.keeper.pause(name)
        if under_way := stage.sts.in_flight():
            return under_way
        for name in names:
            stage.keeper.go_on(name)
    raise TimeoutError("no worker was caught with a call under way")


SCENARIOS = (
    Scenario(
        "stopped",
        "SIGSTOP of the workers in the midst of calls, past their lease, then SIGCONT",
        stop_workers_past_their_lease_and_let_them_go_on,
    ),
)
