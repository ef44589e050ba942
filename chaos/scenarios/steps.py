"""Workers that kill themselves right after a named step of a rotation."""

import time

from chaos.oracle import examine, settle
from chaos.report import Findings, Plan, Scenario
from chaos.stage import Options, Stage
from chaos.watch import Watch

STEPS = ("claimed", "assumed", "written", "committed")
LEASE_SECONDS = 4.0


def kill_a_worker_after_each_step(plan: Plan) -> Findings:
    findings = Findings()
    wasted = 0
    for step in STEPS:
        findings_of_step = _kill_after(step, plan)
        wasted += findings_of_step.figures["wasted"]
        findings.broken += [f"after {step!r}: {fault}" for fault in findings_of_step.broken]
        findings.figures[step] = findings_of_step.figures
    findings.figures |= {"wasted": wasted, "lapses": sum(findings.figures[step]["lapses"] for step in STEPS)}
    return findings


def _kill_after(step: str, plan: Plan) -> Findings:
    findings = Findings()
    sessions = plan.few(20)
    with Stage(Options(sessions=sessions, workers=0, lease_seconds=LEASE_SECONDS), plan.template) as stage:
        stage.wait_for_web()
        stage.start_worker("worker-0", CHAINWEB_CHAOS_KILL_AFTER=step)
        stage.wait(lambda: len(stage.keeper.children("worker-0")) > 0, "the worker has children")
        children = set(stage.keeper.children("worker-0"))
        try:
            stage.wait(
                lambda: not children <= set(stage.keeper.children("worker-0")), f"it dies after {step}", 30
            )
            died = True
        except TimeoutError:
            died = False
        stage.keeper.end("worker-0")
        begun = time.monotonic()
        with Watch(stage, readers=0) as seen:
            stage.start_worker("worker-1")
            stage.wait_until_fresh(60)
            recovered = time.monotonic() - begun
        settle(stage)
        facts = examine(stage, seen)
        findings.take(facts, seen, stage.life_seconds)
    findings.figures["recovered_seconds"] = round(recovered, 1)
    findings.expect(died, "no worker killed itself: the hook is missing")
    findings.expect(recovered <= LEASE_SECONDS + 10, f"all fresh only after {recovered:.0f} s")
    if step in {"claimed", "committed"}:
        findings.expect(facts.wasted == 0, f"{facts.wasted} calls were made in vain")
    return findings


SCENARIOS = (
    Scenario(
        "steps", "SIGKILL of a worker after each named step of a rotation", kill_a_worker_after_each_step
    ),
)
