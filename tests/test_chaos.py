"""Run `python -m chaos` for a short time, in small numbers.

The full one is run on demand (docs/chaos.md).
"""

import json
import os
import subprocess
import sys

import pytest

from tests.harness.processes import CHECKOUT
from tests.harness.servers import PG, Unavailable, check
from tests.harness.valkey import Valkey
from tests.platform.proxy import need_nginx

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]


TOGETHER = ("steps", "stopped", "slow_clients", "removals", "held_head", "held_row")


@pytest.fixture(scope="module")
def need_services():
    """Need real PostgreSQL and Valkey or Redis; in CI their absence is a failure."""
    try:
        check()
        with Valkey():
            pass
    except Unavailable as error:
        reason = f"the chaos run needs PostgreSQL at {PG} and a Valkey or Redis server: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def run(folder, *options):
    """Return a run's exit code, its figures, and what it has said. Seconds are not judged."""
    file = folder / "figures.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "chaos",
            "--minutes=0.15",
            "--sessions=40",
            f"--json={file}",
            *options,
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    said = done.stdout[-3000:] + done.stderr[-3000:]
    assert file.exists(), said
    return done.returncode, json.loads(file.read_text()), said


@pytest.fixture(scope="module")
def together(need_services, tmp_path_factory):
    """Run the scenarios that are asked for by name, each with an installation of its own."""
    return run(tmp_path_factory.mktemp("chaos"), f"--only={','.join(TOGETHER)}")


@pytest.fixture
def found(together):
    """Find what one scenario of that run has found; what does not hold fails in its words."""

    def find(scenario):
        _, figures, said = together
        assert scenario in figures["detail"], said
        detail = figures["detail"][scenario]
        assert detail["broken"] == [], said
        return detail

    return find


def test_a_run_of_seconds_kills_workers_and_times_a_take_over(need_services, tmp_path):
    code, figures, said = run(tmp_path)
    assert figures["broken"] == {}, said
    assert code == 0
    assert figures["kills"] > 0
    assert figures["lapses"] == 0
    assert figures["takeover_seconds"] > 0
    assert set(figures["detail"]) == {"kills", "takeover"}
    assert {"steps", "broker_away", "sts_away"} <= set(figures["not_begun"])


def test_a_worker_killed_during_a_rotation_is_replaced_without_a_lapse(found):
    detail = found("steps")
    assert detail["lapses"] == 0
    assert detail["assumed"]["wasted"] > 0


def test_workers_stopped_past_their_lease_write_nothing_when_they_go_on(found):
    detail = found("stopped")
    assert detail["stale_writes"] == 0
    assert detail["mixed"] == 0


def test_slow_clients_behind_the_proxy_hold_nobody_up(found):
    need_nginx()
    assert found("slow_clients")["slow_headers"] > 0


def test_who_is_removed_gets_nothing_more(found):
    detail = found("removals")
    assert detail["secrets_after_removal"] == 0
    assert detail["secrets_handed_out"] > 0


def test_a_held_ledger_is_one_teams(found):
    assert found("held_head")["lines_meanwhile"] == 0


def test_a_held_row_of_a_team_stops_its_changes_and_nothing_else(found):
    detail = found("held_row")
    assert detail["lapses"] == 0
    assert detail["changes"]["held"] == {"503": detail["refused"]}
    assert detail["refused"] > 0


def test_a_run_in_which_all_holds_says_so_and_ends_well(together):
    need_nginx()
    code, figures, said = together
    assert figures["broken"] == {}, said
    assert figures["left_out"] == {}, said
    assert figures["lapses"] == 0
    assert set(figures["detail"]) == set(TOGETHER)
    assert code == 0
