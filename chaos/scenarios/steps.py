"""Workers that kill themselves right after a named step of a rotation."""

import time
from typing import Any

from chaos.oracle import examine, mark, settle
from chaos.report import Findings, Plan, Scenario
from chaos.stage import Options, Stage
from chaos.watch import Seen, Watch

STEPS = ("claimed", "assumed", "written", "committed")
LEASE_SECONDS = 4.0
# Lease, start of a process, and the work itself.
RECOVERY_SECONDS = LEASE_SECONDS + 10


def kill_a_worker_after_each_step(plan: Plan) -> Findings:
    """All is live and due again; the one worker there is dies at its step, and a sound one takes its place."""
    findings = Findings()
    options = Options(sessions=plan.few(50), workers=0, lease_seconds=LEASE_SECONDS)
    with Stage(options, plan.template) as stage:
        stage.wait_for_web()
        stage.start_worker("sound")
        stage.wait_until_fresh()
        settle(stage)
        stage.keeper.end("sound")
        with Watch(stage) as seen:
            for step in STEPS:
                findings.figures[step] = _die_after(stage, step, seen, findings)
        facts = examine(stage, seen, mark(stage))
        findings.take(facts, seen, stage.life_seconds)
        findings.expect(not stage.keeper.unexpected, f"ended by themselves: {stage.keeper.unexpected[:5]}")
    findings.expect(set(seen.answers) <= {200}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}")
    return findings


def _die_after(stage: Stage, step: str, seen: Seen, findings: Findings) -> dict[str, Any]:
    wasted_before = examine(stage, seen, mark(stage)).wasted
    before = stage.make_due()
    stage.start_worker("mortal", CHAINWEB_CHAOS_KILL_AFTER=step)
    stage.wait(lambda: bool(stage.keeper.children("mortal")), "the worker has children")
    children = set(stage.keeper.children("mortal"))
    try:
        stage.wait(
            lambda: not children <= set(stage.keeper.children("mortal")), f"the worker dies after {step}", 30
        )
    except TimeoutError as error:
        findings.expect(False, f"no worker killed itself after {step!r}: {error}")
    stage.keeper.end("mortal")
    begun = time.monotonic()
    stage.start_worker("sound")
    stage.wait(lambda: stage.minted_since(before), f"all is minted anew after a death after {step}", 60)
    recovered = time.monotonic() - begun
    settle(stage)
    stage.keeper.end("sound")
    wasted = examine(stage, seen, mark(stage)).wasted - wasted_before
    findings.expect(
        recovered <= RECOVERY_SECONDS, f"after {step!r} all was minted only {recovered:.0f} s later"
    )
    if step in {"claimed", "committed"}:
        findings.expect(wasted == 0, f"after {step!r} {wasted} calls had been made in vain")
    else:
        findings.expect(wasted > 0, f"after {step!r} nothing had been in flight: nothing was tried")
    return {"recovered_seconds": round(recovered, 1), "wasted": wasted}


SCENARIOS = (
    Scenario(
        "steps", "SIGKILL of a worker after each named step of a rotation", kill_a_worker_after_each_step
    ),
)
