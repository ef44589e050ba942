"""Take the broker away, hang, empty and restart it.

It only carries wake-ups, so nothing may depend on it.
"""

import time
from collections.abc import Callable
from functools import partial

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce

COMPRESSION = 20.0
START_EVERY_SECONDS = 3.0
# So late comes every piece, there and back.
SLOW_SECONDS = 0.1
# Unstarted sessions in reserve: one is started every few seconds while the broker is ill.
RESERVE = 60
# Started while all is well, to compare with.
HEALTHY_STARTS = 10


def take_the_broker_away(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(30, COMPRESSION),
        lambda installation: installation.proxies["broker"].refuse(),
        lambda installation: installation.proxies["broker"].pass_on(),
    )


def hang_the_broker(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(10, COMPRESSION),
        lambda installation: installation.broker.hang(),
        lambda installation: installation.broker.wake(),
    )


def swallow_what_goes_to_the_broker(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(10, COMPRESSION),
        lambda installation: installation.proxies["broker"].black_hole(),
        lambda installation: installation.proxies["broker"].pass_on(),
    )


def slow_the_way_to_the_broker(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(10, COMPRESSION),
        lambda installation: installation.proxies["broker"].delay(SLOW_SECONDS),
        lambda installation: installation.proxies["broker"].pass_on(),
    )


def cut_the_way_to_the_broker_again_and_again(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(10, COMPRESSION),
        lambda installation: None,
        lambda installation: None,
        lambda installation: installation.proxies["broker"].cut(),
    )


def flush_the_broker_again_and_again(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(10, COMPRESSION),
        lambda installation: None,
        lambda installation: None,
        _flush,
    )


def restart_the_broker_again_and_again(plan: Plan) -> Findings:
    return _ail(
        plan,
        plan.compressed(15, COMPRESSION),
        lambda installation: None,
        lambda installation: None,
        _restart,
    )


def _flush(installation: Installation) -> None:
    installation.broker.flush()


def _restart(installation: Installation) -> None:
    installation.broker.stop()
    time.sleep(0.5)
    installation.broker.start()
    installation.processes.adopt(installation.broker.group)


def _ail(
    plan: Plan,
    seconds: float,
    fall_ill: Callable[[Installation], None],
    mend: Callable[[Installation], None],
    every_time: Callable[[Installation], None] = lambda installation: None,
) -> Findings:
    findings = Findings()
    started = plan.few(500)
    options = Options(
        sessions=started + RESERVE,
        started=started - HEALTHY_STARTS,
        compression=COMPRESSION,
        proxied=frozenset({"broker"}),
    )
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        marked = mark(installation)
        installation.spread(min(seconds * 0.8, installation.life_seconds))
        asked: list[tuple[int, float]] = []
        with Monitor(installation, readers=2) as seen:
            # How long it takes on this machine, now, when nothing is wrong.
            well = [
                installation.start_session(number)[1]
                for number in range(started - HEALTHY_STARTS, started)
            ]
            fall_ill(installation)
            until = time.monotonic() + seconds
            while time.monotonic() < until and len(asked) < RESERVE - 1:
                every_time(installation)
                asked.append(installation.start_session(started + len(asked)))
                time.sleep(START_EVERY_SECONDS)
            mend(installation)
            mended = time.monotonic()
            last = started + len(asked)
            installation.start_session(last)
            installation.wait(
                lambda: installation.is_active(last), "a session started afterwards is active", 60
            )
            again = time.monotonic() - mended
            installation.wait(
                lambda: installation.ask("GET", "/readyz")[0] == 200, "readyz says ready", 60
            )
            ready = time.monotonic() - mended
            installation.wait(
                lambda: all(
                    installation.is_active(started + number) for number in range(len(asked))
                ),
                "what was started meanwhile is active",
                60,
            )
        facts = examine(installation, seen, marked)
        findings.take(facts, seen, installation.life_seconds)
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    slowest_start = max(took for _, took in asked)
    failed_reads = sum(count for status, count in seen.answers.items() if status != 200)
    findings.figures |= {
        "ill_seconds": round(seconds, 1),
        "failed_reads": failed_reads,
        "starts": len(asked),
        "slowest_start_seconds": round(slowest_start, 2),
        "slowest_start_before_seconds": round(max(well), 2),
        "working_again_seconds": round(again, 1),
        "ready_again_seconds": round(ready, 1),
    }
    findings.expect(failed_reads == 0, f"{failed_reads} failed reads: {seen.failed[:2]}")
    findings.aim(seen.slowest_seconds <= 1 + max(well), f"a read took {seen.slowest_seconds:.1f} s")
    findings.expect({status for status, _ in asked} == {200}, f"starts were answered {asked}")
    findings.aim(
        slowest_start <= 1 + max(well),
        f"a start took {slowest_start:.1f} s, before {max(well):.1f} s at the most",
    )
    findings.aim(again <= 15, f"working again only after {again:.0f} s")
    findings.aim(ready <= 15, f"ready again only after {ready:.0f} s")
    findings.aim(facts.wasted + facts.early == 0, f"{facts.wasted} + {facts.early} calls too many")
    return findings


def kill_pools_without_a_broker(plan: Plan) -> Findings:
    """Kill every pool process while there is no broker that could say what there is to do."""
    findings = Findings()
    rounds = 3 if plan.short else 10
    started = plan.few(500)
    options = Options(
        sessions=started + rounds,
        started=started,
        compression=COMPRESSION,
        proxied=frozenset({"broker"}),
    )
    waits: list[float] = []
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        marked = mark(installation)
        installation.spread(installation.life_seconds)
        with Monitor(installation, readers=2) as seen:
            installation.proxies["broker"].refuse()
            for number in range(started, started + rounds):
                for worker in installation.processes.names("worker"):
                    installation.processes.kill_pool(worker)
                status, _ = installation.start_session(number)
                findings.expect(status == 200, f"a start was answered {status}")
                active = partial(installation.is_active, number)
                waits.append(installation.wait(active, "what was started is active", 60))
            installation.proxies["broker"].pass_on()
            ready = installation.wait(
                lambda: installation.ask("GET", "/readyz")[0] == 200, "readyz says ready", 60
            )
        facts = examine(installation, seen, marked)
        findings.take(facts, seen, installation.life_seconds)
    findings.figures |= {
        "starts": rounds,
        "slowest_to_be_active_seconds": round(max(waits), 2),
        "ready_again_seconds": round(ready, 1),
    }
    wrong = {status for status in seen.answers if status != 200}
    findings.expect(not wrong, f"reads were answered {wrong}")
    findings.aim(max(waits) <= 15, f"a session was active only after {max(waits):.1f} s")
    findings.aim(ready <= 15, f"ready again only after {ready:.0f} s")
    return findings


SCENARIOS = (
    Scenario("broker_away", "broker refuses for 30 minutes", take_the_broker_away),
    Scenario(
        "broker_away_pools_killed",
        "broker refuses, and all pool processes are killed ten times",
        kill_pools_without_a_broker,
    ),
    Scenario("broker_hung", "broker stands still for 10 minutes", hang_the_broker),
    Scenario(
        "broker_swallowed", "broker in a black hole for 10 minutes", swallow_what_goes_to_the_broker
    ),
    Scenario(
        "broker_slow",
        "every piece to and from the broker 0.1 s late, 10 minutes",
        slow_the_way_to_the_broker,
    ),
    Scenario(
        "broker_cut",
        "connections to the broker cut every 3 s",
        cut_the_way_to_the_broker_again_and_again,
    ),
    Scenario("broker_flushed", "broker emptied every 3 s", flush_the_broker_again_and_again),
    Scenario(
        "broker_restarted",
        "broker killed and started every 3 s",
        restart_the_broker_again_and_again,
    ),
)
