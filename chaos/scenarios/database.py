"""The database goes: nothing is minted, nothing delivered, and all of it comes back by itself."""

import signal
import time
from collections.abc import Callable

from chaos.installation import Installation, Options
from chaos.monitor import Monitor
from chaos.report import Findings, Plan, Scenario
from chaos.verifier import examine, mark, quiesce

AWAY_SECONDS = 8.0
# What was on its way to the STS when the database went may still arrive.
IN_FLIGHT_SECONDS = 1.0


def crash_the_database_and_start_it_again(plan: Plan) -> Findings:
    def crash(installation: Installation) -> None:
        assert installation.cluster
        installation.cluster.stop(signal.SIGQUIT)

    def start(installation: Installation) -> None:
        assert installation.cluster
        installation.cluster.start()
        installation.processes.adopt(installation.cluster.group)

    return _take_away(plan, Options(sessions=plan.few(300), own_cluster=True), crash, start)


def make_the_database_read_only(plan: Plan) -> Findings:
    def set_read_only(installation: Installation) -> None:
        assert installation.cluster
        installation.cluster.set_read_only(True)

    def set_writable(installation: Installation) -> None:
        assert installation.cluster
        installation.cluster.set_read_only(False)

    return _take_away(
        plan, Options(sessions=plan.few(300), own_cluster=True), set_read_only, set_writable
    )


def cut_the_way_to_the_database(plan: Plan) -> Findings:
    options = Options(sessions=plan.few(300), proxied=frozenset({"database"}))
    return _take_away(
        plan,
        options,
        lambda installation: installation.proxies["database"].refuse(),
        lambda installation: installation.proxies["database"].pass_on(),
    )


def swallow_what_goes_to_the_database(plan: Plan) -> Findings:
    """Swallow all packets to the database: requests wait, and nothing is issued meanwhile."""
    options = Options(sessions=plan.few(300), proxied=frozenset({"database"}))
    return _take_away(
        plan,
        options,
        lambda installation: installation.proxies["database"].black_hole(),
        lambda installation: installation.proxies["database"].pass_on(),
        answers=frozenset(),
    )


def _take_away(
    plan: Plan,
    options: Options,
    fall_ill: Callable[[Installation], None],
    mend: Callable[[Installation], None],
    answers: frozenset[int] = frozenset({503}),
) -> Findings:
    findings = Findings()
    with Installation(options, plan.template) as installation:
        installation.wait_for_web()
        installation.wait_until_fresh()
        quiesce(installation)
        marked = mark(installation)
        # Rotations at every moment before, during and after.
        installation.spread(AWAY_SECONDS * 4)
        with Monitor(installation, readers=2) as seen:
            time.sleep(AWAY_SECONDS)
            fall_ill(installation)
            ill = time.monotonic()
            time.sleep(AWAY_SECONDS)
            mend(installation)
            mended = time.monotonic()
            reopen(installation)
            last = mark(installation)
            web = installation.wait(lambda: reads(installation), "the web delivers again", 60)
            installation.wait(
                lambda: stored_after(installation, last), "a credential is minted again", 60
            )
            minted = time.monotonic() - mended
            time.sleep(AWAY_SECONDS)
            quiesce(installation)
        calls = installation.sts.calls()
        facts = examine(installation, seen, marked)
        findings.take(facts, seen, installation.life_seconds)
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    meanwhile = sum(ill + IN_FLIGHT_SECONDS < call["at"] < mended for call in calls)
    statuses = {status for at, status, _ in seen.failed if ill < at < mended}
    handed_out = [
        one
        for one in seen.served
        if ill + 0.5 < one.read_at - time.time() + time.monotonic() < mended
    ]
    findings.figures |= {
        "calls_meanwhile": meanwhile,
        "answers_meanwhile": sorted(statuses),
        "web_again_seconds": round(web, 1),
        "minted_again_seconds": round(minted, 1),
    }
    findings.expect(
        meanwhile == 0, f"the STS was called {meanwhile} times while nothing could be written"
    )
    findings.expect(
        statuses == answers, f"the web answered {sorted(statuses)} meanwhile: {seen.failed[:2]}"
    )
    findings.expect(not handed_out, f"{len(handed_out)} credentials were delivered meanwhile")
    findings.aim(web <= 10, f"the web was back only after {web:.0f} s")
    findings.aim(minted <= 10, f"rotation was back only after {minted:.0f} s")
    return findings


def reopen(installation: Installation) -> None:
    """Open a new connection of our own: the old one may have died with the server."""
    installation.__dict__.pop("rows").close()


def reads(installation: Installation) -> bool:
    session, _ = installation.seeded.sessions[0]
    return (
        installation.ask("GET", f"/api/v1/sessions/{session}/credentials?format=process")[0] == 200
    )


def stored_after(installation: Installation, seq: int) -> bool:
    return bool(
        installation.one(
            "SELECT count(*) FROM chains_event WHERE kind = 'credential.minted' AND seq > %s", seq
        )
    )


SCENARIOS = (
    Scenario(
        "database_crashed", "database killed, back after 8 s", crash_the_database_and_start_it_again
    ),
    Scenario("database_read_only", "database read-only for 8 s", make_the_database_read_only),
    Scenario("database_cut_off", "database unreachable for 8 s", cut_the_way_to_the_database),
    Scenario(
        "database_swallowed", "database in a black hole for 8 s", swallow_what_goes_to_the_database
    ),
)
