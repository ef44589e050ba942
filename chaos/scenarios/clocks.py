"""Three clocks, and none: the database says what is due."""

import time

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce


def rotate_with_three_clocks(plan: Plan) -> Findings:
    return _rotate(plan, clocks=3)


def rotate_without_a_clock(plan: Plan) -> Findings:
    """Run workers without beat: each polls by itself, the first call included."""
    return _rotate(plan, clocks=0)


def _rotate(plan: Plan, clocks: int) -> Findings:
    findings = Findings()
    with Installation(
        Options(sessions=plan.few(1000), clocks=clocks), plan.template
    ) as installation:
        installation.wait_for_web()
        first = installation.wait_until_fresh()
        quiesce(installation)
        marked = mark(installation)
        # So that each is rotated once more by itself, after what has been spread.
        seconds = 20.0 if plan.short else 1.5 * installation.life_seconds
        installation.spread(min(seconds * 0.8, installation.life_seconds))
        with Monitor(installation) as seen:
            time.sleep(seconds)
        facts = examine(installation, seen, marked)
        findings.take(facts, seen, installation.life_seconds)
    findings.figures |= {"clocks": clocks, "first_mint_seconds": round(first, 1)}
    findings.aim(facts.wasted + facts.early == 0, f"{facts.wasted} + {facts.early} calls too many")
    findings.expect(
        set(seen.answers) <= {200}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}"
    )
    return findings


SCENARIOS = (
    Scenario("clocks", "three beats", rotate_with_three_clocks),
    Scenario("no_clock", "no beat at all", rotate_without_a_clock),
)
