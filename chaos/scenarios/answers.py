"""Reject calls for a while: one region for one account, every signature, or every role."""

import json
import re
import time
from typing import Any

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce

COMPRESSION = 20.0
# In a credential's own minutes: less than what is left when a rotation is due, so nothing may
# lapse.
REJECTED_MINUTES = 12
# To be enabled by each account.
REGION = "ap-south-2"
SKEW_SECONDS = 20 * 60


def _rejected(plan: Plan, region: str, fault: dict[str, Any]) -> tuple[Findings, dict[str, Any]]:
    """Apply that fault while rotations are due; return the findings and what was shown meanwhile.

    A fault without an account of the caller gets none; `caller_account` "one" stands for the
    account of one hub.
    """
    findings = Findings(must_keep_life=False)
    seconds = plan.compressed(REJECTED_MINUTES, COMPRESSION)
    options = Options(sessions=plan.few(1000), compression=COMPRESSION, region=region)
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        odd = installation.seeded.sessions[0][1]
        if fault.get("caller_account"):
            fault = {**fault, "caller_account": odd}
        marked = mark(installation)
        installation.spread(seconds if plan.short else installation.life_seconds)
        with Monitor(installation) as seen:
            if not plan.short:
                time.sleep(
                    installation.life_seconds * 0.55
                )  # now they are of every age up to their rotation
            before = installation.sts.count()["by_code"].copy()
            installation.sts.fail(fault)
            time.sleep(seconds)
            shown = _shown(installation, odd) | {"seconds": round(seconds, 1)}
            after = installation.sts.count()["by_code"]
            installation.sts.fail()
            mended = time.monotonic()
            installation.wait(
                lambda: not _problems(installation), "no problem is left", installation.life_seconds
            )
            shown["recovered_minutes"] = round((time.monotonic() - mended) * COMPRESSION / 60, 1)
        findings.take(examine(installation, seen, marked), seen, installation.life_seconds)
    rejected = sum(after.values()) - after["ok"] - sum(before.values()) + before["ok"]
    shown["rejected_calls"] = rejected
    shown["rejected_calls_per_session"] = round(rejected / installation.seeded.started, 2)
    findings.figures |= shown
    findings.expect(rejected > 0, "no call was rejected: nothing was tried")
    findings.expect(
        set(seen.answers) <= {200}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}"
    )
    findings.expect(
        shown["never_tried_again"] == 0, f"{shown['never_tried_again']} would never be tried again"
    )
    return findings, shown


def _expect_few_tries(findings: Findings) -> None:
    """Check that a rejected session tries after one or two minutes, then after twice as long."""
    tries = findings.figures["rejected_calls_per_session"]
    findings.expect(tries <= 5, f"a storm: {tries} rejected calls a session")


def _problems(installation: Installation) -> int:
    found: int = installation.one(
        "SELECT count(*) FROM chains_credential WHERE problem IS NOT NULL"
    )
    return found


def _shown(installation: Installation, odd: str) -> dict[str, Any]:
    """Return the problems shown at rejected sessions, at the root and in other accounts."""
    rows = installation.rows.execute(
        "SELECT level, due_at IS NULL, problem, request->>'role_arn' FROM chains_credential WHERE"
        " problem IS NOT NULL"
    ).fetchall()
    problems = [
        problem if isinstance(problem, dict) else json.loads(problem) for _, _, problem, _ in rows
    ]
    return {
        "with_a_problem": len(rows),
        "never_tried_again": sum(never for level, never, *_ in rows if level > 0),
        "elsewhere": sum(f":{odd}:" not in (arn or "") for level, *_, arn in rows if level > 0),
        "roots_blamed": sum(level == 0 for level, *_ in rows),
        "messages": sorted({problem["message"] for problem in problems})[:3],
    }


def refuse_one_account_in_a_region(plan: Plan) -> Findings:
    """Disable the region for one hub's account: only sessions assumed from there are rejected."""
    fault = {
        "kind": "error",
        "code": "InvalidClientTokenId",
        "caller_account": "one",
        "region": REGION,
    }
    findings, shown = _rejected(plan, REGION, fault)
    _expect_few_tries(findings)
    findings.expect(
        shown["elsewhere"] == 0, f"{shown['elsewhere']} sessions of other accounts have a problem"
    )
    findings.expect(shown["roots_blamed"] == 0, "the root is blamed")
    findings.expect(
        all(f"The region {REGION} is not enabled" in each for each in shown["messages"]),
        f"the messages say {shown['messages']}",
    )
    return findings


def skew_the_clock(plan: Plan) -> Findings:
    """Make every signature 20 minutes old: live credentials are served, and the clock is named."""
    findings, shown = _rejected(plan, "eu-west-1", {"kind": "skew", "seconds": SKEW_SECONDS})
    findings.expect(shown["roots_blamed"] == 0, "the root is blamed")
    findings.expect(
        # AWS's Date has whole seconds.
        all(re.search(r"clock is 20 min( 1 s)? behind", each) for each in shown["messages"]),
        f"it says {shown['messages']}",
    )
    return findings


def deny_for_a_while(plan: Plan) -> Findings:
    """Deny every role for a while: live credentials are served, and renewed once allowed again."""
    findings, shown = _rejected(plan, "eu-west-1", {"kind": "refuse"})
    _expect_few_tries(findings)
    findings.expect(shown["roots_blamed"] == 0, "the root is blamed")
    return findings


SCENARIOS = (
    Scenario(
        "region_refuses",
        "A region refuses one account for 12 minutes",
        refuse_one_account_in_a_region,
    ),
    Scenario("clock_skewed", "The workers' clock is 20 minutes off for 12 minutes", skew_the_clock),
    Scenario("denied_for_a_while", "Every role is denied for 12 minutes", deny_for_a_while),
)
