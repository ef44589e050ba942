"""Have workers kill themselves right after a named step of a rotation."""

import time
from typing import Any

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce, wasted

STEPS = ("claimed", "assumed", "written", "committed")
STEPS_OF_A_SHORT_RUN = ("assumed", "committed")
LEASE_SECONDS = 4.0
# Lease, start of a process, and the work itself.
RECOVERY_SECONDS = LEASE_SECONDS + 10


def kill_a_worker_after_each_step(plan: Plan) -> Findings:
    """Kill the only worker after each step while everything is due.

    A sound worker then takes over.
    """
    findings = Findings()
    options = Options(sessions=plan.few(50), workers=0, lease_seconds=LEASE_SECONDS)
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.start_worker("sound")
        installation.wait_until_fresh()
        quiesce(installation)
        installation.processes.end("sound")
        with Monitor(installation) as seen:
            for step in STEPS_OF_A_SHORT_RUN if plan.short else STEPS:
                findings.figures[step] = _die_after(installation, step, findings)
        facts = examine(installation, seen, mark(installation))
        findings.take(facts, seen, installation.life_seconds)
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    findings.expect(
        set(seen.answers) <= {200}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}"
    )
    return findings


def _die_after(installation: Installation, step: str, findings: Findings) -> dict[str, Any]:
    wasted_before = wasted(installation)
    before = installation.make_due()
    mortal = f"mortal-{step}"
    installation.start_worker(mortal, CHAINWEB_CHAOS_KILL_AFTER=step)
    try:
        installation.wait(
            installation.has_lost_a_child(mortal), f"a child of the worker dies after {step}", 60
        )
    except TimeoutError as error:
        findings.expect(False, f"no worker killed itself after {step!r}: {error}")
    installation.processes.end(mortal)
    begun = time.monotonic()
    installation.start_worker("sound")
    installation.wait(
        lambda: installation.minted_since(before),
        f"all is minted again after a death after {step}",
        60,
    )
    recovered = time.monotonic() - begun
    quiesce(installation)
    installation.processes.end("sound")
    in_vain = wasted(installation) - wasted_before
    findings.aim(
        recovered <= RECOVERY_SECONDS, f"after {step!r} all was minted only {recovered:.0f} s later"
    )
    if step == "claimed":
        findings.aim(in_vain == 0, f"after {step!r} {in_vain} calls had been made in vain")
    else:
        findings.expect(
            in_vain <= installation.uncommitted,
            f"after {step!r} {in_vain} calls in vain, more than one process can lose",
        )
    if step in {"assumed", "written"}:
        findings.expect(
            in_vain > 0, f"after {step!r} nothing had been in flight: nothing was tried"
        )
    return {"recovered_seconds": round(recovered, 1), "wasted": in_vain}


SCENARIOS = (
    Scenario(
        "steps",
        "SIGKILL of a worker after each named step of a rotation",
        kill_a_worker_after_each_step,
    ),
)
