"""STS throttles, falls silent for one account, goes away."""

import collections
import json
import time
from typing import Any

from chaos.installation import Installation, Options
from chaos.monitor import Monitor, Seen
from chaos.report import Findings, Plan, Scenario, percentile
from chaos.verifier import examine, mark, quiesce

COMPRESSION = 20.0
# The engine's default, and the burst that a limiter may let through on top.
CALLS_PER_SECOND_AND_ACCOUNT = 100
BURST = 2
# Below this, a difference of two waits is the machine's.
NOISE_SECONDS = 0.3


def throttle_every_call(plan: Plan) -> Findings:
    """For 12 minutes: what has 20 left when it is due keeps the rest, and says "delayed"."""
    findings = Findings(must_keep_life=False)
    seconds = plan.compressed(12, COMPRESSION)
    with Installation(
        Options(sessions=plan.few(1000), compression=COMPRESSION), plan.template
    ) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        marked = mark(installation)
        installation.spread(installation.life_seconds if not plan.short else seconds)
        with Monitor(installation) as seen:
            if not plan.short:
                time.sleep(installation.life_seconds / 4)
            before = installation.sts.count()["requests"]
            installation.sts.fail({"kind": "throttle"})
            time.sleep(seconds)
            shown = _what_a_delayed_session_shows(installation)
            throttled = installation.sts.count()["requests"] - before
            installation.sts.fail()
            mended = time.monotonic()
            installation.wait(
                lambda: (
                    not installation.one(
                        "SELECT count(*) FROM chains_credential WHERE problem IS NOT NULL"
                    )
                ),
                "no problem is left",
                90,
            )
            recovered = time.monotonic() - mended
        findings.take(examine(installation, seen, marked), seen, installation.life_seconds)
    findings.figures |= {
        "throttled_seconds": round(seconds, 1),
        "throttled_calls_per_second": round(throttled / seconds, 1),
        "recovered_seconds": round(recovered, 1),
        "shown": shown,
    }
    findings.expect(
        set(seen.answers) <= {200}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}"
    )
    findings.expect(
        shown.get("status") == "active" and bool(shown.get("problem")), f"it showed {shown}"
    )
    return findings


def _what_a_delayed_session_shows(installation: Installation) -> dict[str, str]:
    found = installation.rows.execute(
        "SELECT a.session_id FROM chains_activation a JOIN chains_credential c ON c.fingerprint ="
        " a.credential_id WHERE c.problem IS NOT NULL AND c.expires_at > clock_timestamp() +"
        " interval '2 seconds' LIMIT 1"
    ).fetchone()
    if not found:
        return {}
    answer = json.loads(installation.ask("GET", f"/api/v1/sessions/{found[0]}")[1])
    return {"status": answer["status"], "problem": (answer["problem"] or {}).get("code", "")}


def swallow_the_calls_of_one_account(plan: Plan) -> Findings:
    """Check that the other accounts' rotations and starts are no later than without.

    Without compression, since the time-outs of a call are seconds of the real world: the rotations
    of an hour are brought forward into a minute or two instead.
    """
    findings = Findings(must_not_lapse=False, must_keep_life=False)
    starts = 9 if plan.short else 45
    started = plan.few(600)
    options = Options(
        sessions=started + 2 * starts, started=started, compression=1.0, lease_seconds=None
    )
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        dead = installation.seeded.sessions[0][1]
        seconds = 25.0 if plan.short else 120.0
        healthy = [
            number for number in range(started, len(installation.seeded.sessions)) if number % 10
        ]
        half = len(healthy) // 2
        lateness: list[list[float]] = []
        waits: list[list[float]] = []
        lapsed_elsewhere = 0
        for numbers, faults in (
            (healthy[:half], []),
            (healthy[half:], [{"kind": "hang", "account": dead}]),
        ):
            installation.spread(seconds * 0.8)
            marked = mark(installation)
            installation.sts.fail(*faults)
            with Monitor(installation) as seen:
                begun = time.monotonic()
                waits.append([_start_and_wait(installation, number) for number in numbers])
                time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
            lateness.append(_lateness(seen, dead))
            lapsed_elsewhere += len(_lapsed_elsewhere(installation, seen, dead))
        hung = installation.sts.count()["hung"]
        installation.sts.fail()
        findings.take(examine(installation, seen, marked), seen, installation.life_seconds)
    figures: dict[str, Any] = {}
    for name, (without, with_it) in {"lateness": lateness, "start_to_active": waits}.items():
        before, after = percentile(without, 0.99), percentile(with_it, 0.99)
        figures |= {
            f"{name}_p99_seconds": [round(before, 2), round(after, 2)],
            f"{name}_measured": len(with_it),
        }
        findings.expect(bool(with_it), f"no {name} was measured")
        findings.aim(
            after <= before * 1.2 + NOISE_SECONDS,
            f"others' {name}: p99 {after:.1f} s instead of {before:.1f} s",
        )
    findings.figures |= figures | {"hung_calls": hung, "lapsed_elsewhere": lapsed_elsewhere}
    findings.expect(hung > 0, "no call was swallowed: nothing was tried")
    findings.expect(lapsed_elsewhere == 0, f"{lapsed_elsewhere} lapses in other accounts")
    return findings


def _start_and_wait(installation: Installation, number: int) -> float:
    begun = time.monotonic()
    installation.start_session(number)
    installation.wait(
        lambda: installation.is_active(number), "a session of another account is active", 60
    )
    return time.monotonic() - begun


def _lateness(seen: Seen, dead: str) -> list[float]:
    return [
        each
        for account, values in seen.lateness_seconds.items()
        if account != dead
        for each in values
    ]


def _lapsed_elsewhere(installation: Installation, seen: Seen, dead: str) -> list[str]:
    accounts = dict(installation.seeded.sessions)
    activations = dict(
        installation.rows.execute(
            "SELECT id::text, session_id::text FROM chains_activation"
        ).fetchall()
    )
    return [one for one, _ in seen.lapsed if accounts[activations[one]] != dead]


def take_sts_away_for_45_minutes(plan: Plan) -> Findings:
    """Refuse, swallow and cut STS calls for 15 minutes each: served to the true end, then 503.

    Afterwards there is no stampede.
    """
    findings = Findings(must_not_lapse=False, must_keep_life=False)
    seconds = plan.compressed(45, COMPRESSION)
    options = Options(sessions=plan.few(1000), compression=COMPRESSION, proxied=frozenset({"sts"}))
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        marked = mark(installation)
        installation.spread(installation.life_seconds if not plan.short else seconds)
        proxy = installation.proxies["sts"]
        with Monitor(installation, readers=2) as seen:
            if not plan.short:
                time.sleep(
                    installation.life_seconds * 0.55
                )  # now they are of every age up to their rotation
            proxy.refuse()
            time.sleep(seconds / 3)
            proxy.black_hole()
            before = proxy.connections
            time.sleep(seconds / 3)
            swallowed = proxy.connections - before
            installation.sts.fail({"kind": "drop"})
            proxy.pass_on()
            time.sleep(seconds / 3)
            dropped = sum(call["code"] == "dropped" for call in installation.sts.calls())
            lapsed = installation.seeded.started - installation.live()
            installation.sts.fail()
            returned = time.monotonic()
            installation.wait_until_fresh(120)
            installation.wait(lambda: not _overdue(installation), "nothing is overdue", 120)
            fresh = time.monotonic() - returned
        quiesce(installation)
        calls = [call for call in installation.sts.calls() if call["at"] >= returned]
        facts = examine(installation, seen, marked)
        findings.take(facts, seen, installation.life_seconds)
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    peaks = collections.Counter((int(call["at"]), call["role_arn"].split(":")[4]) for call in calls)
    before_end = [each for each in seen.failed if each[0] < seen.first_lapse_at]
    allowed = 5 * 60 / COMPRESSION
    findings.figures |= {
        "away_seconds": round(seconds, 1),
        "without_credential_at_the_end": lapsed,
        "attempts_per_second_while_swallowed": round(swallowed / (seconds / 3), 1),
        "attempts_per_second_while_cut": round(dropped / (seconds / 3), 1),
        "fresh_again_seconds": round(fresh, 1),
        "fresh_again_minutes": round(fresh * COMPRESSION / 60, 1),
        "peak_calls_per_second_and_account": max(peaks.values(), default=0),
        "calls_afterwards": len(calls),
    }
    findings.expect(
        set(seen.answers) <= {200, 503}, f"the web answered {dict(seen.answers)}: {seen.failed[:2]}"
    )
    findings.expect(not before_end, f"refused before the first end: {before_end[:2]}")
    findings.expect(plan.short or seen.answers[503] > 0, "nothing ran out: nothing was tried")
    findings.aim(fresh <= allowed, f"all fresh only after {fresh:.0f} s, {allowed:.0f} allowed")
    findings.expect(
        max(peaks.values(), default=0) <= CALLS_PER_SECOND_AND_ACCOUNT * BURST,
        f"a stampede: {peaks.most_common(3)}",
    )
    findings.aim(facts.wasted <= 0.05 * facts.calls, f"{facts.wasted} calls in vain")
    return findings


def _overdue(installation: Installation) -> int:
    found: int = installation.one(
        "SELECT count(*) FROM chains_credential WHERE due_at < clock_timestamp()"
    )
    return found


SCENARIOS = (
    Scenario("sts_throttles", "STS throttles every call for 12 minutes", throttle_every_call),
    Scenario("sts_swallows", "STS silent for one account", swallow_the_calls_of_one_account),
    Scenario("sts_away", "STS away for 45 minutes", take_sts_away_for_45_minutes),
)
