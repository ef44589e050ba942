"""A worker that stands still past its lease and then goes on as if nothing had been."""

import time

from chaos.keeper import connected_to
from chaos.oracle import examine, mark, settle
from chaos.report import Findings, Plan, Scenario
from chaos.stage import Options, Stage
from chaos.watch import Watch

LEASE_SECONDS = 4.0


def stop_a_worker_past_its_lease_and_let_it_go_on(plan: Plan) -> Findings:
    """Each time in the midst of its calls: the STS takes a second for each, and everything is due at once."""
    findings = Findings()
    rounds = 1 if plan.short else 4
    options = Options(
        sessions=plan.few(200),
        lease_seconds=LEASE_SECONDS,
        latency_seconds=1.0,
        environ={"CHAINWEB_STS_THREADS": "8"},
    )
    with Stage(options, plan.template) as stage:
        stage.wait_for_web()
        stage.wait_until_fresh()
        settle(stage)
        taken_meanwhile = 0
        with Watch(stage) as seen:
            for _ in range(rounds):
                stage.make_due()
                before = stage.sts.count()["requests"]
                stage.wait(lambda: stage.sts.count()["requests"] > before + 8, "the STS is called")  # noqa: B023
                stopped = [
                    name
                    for name in stage.keeper.names("worker")
                    if connected_to(stage.sts_port, stage.keeper.members(name))
                ][:1]
                held = stage.one(
                    "SELECT count(*) FROM chains_credential WHERE lease_until > clock_timestamp()"
                )
                for name in stopped:
                    stage.keeper.pause(name)
                time.sleep(LEASE_SECONDS + 3)
                # All those are done by now, by others.
                taken_meanwhile += held
                for name in stopped:
                    stage.keeper.go_on(name)
                findings.expect(bool(stopped), "no worker was found at work")
                time.sleep(2)
                settle(stage, 90)
        facts = examine(stage, seen, mark(stage))
        findings.take(facts, seen, stage.life_seconds)
        findings.expect(not stage.keeper.unexpected, f"ended by themselves: {stage.keeper.unexpected[:5]}")
    stale = [fault for fault in facts.faults if fault.startswith("stale")]
    findings.figures |= {
        "rounds": rounds,
        "stale_writes": len(stale),
        "mixed": len(seen.mixed),
        "held": taken_meanwhile,
    }
    findings.expect(facts.wasted > 0, "the stopped worker had nothing in flight: nothing was tried")
    return findings


SCENARIOS = (
    Scenario(
        "stopped",
        "SIGSTOP of a worker at work, past its lease, then SIGCONT",
        stop_a_worker_past_its_lease_and_let_it_go_on,
    ),
)
