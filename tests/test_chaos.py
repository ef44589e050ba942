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
    """Return a run's figures.

    Whatever does not hold fails with the scenario's own words. Seconds are not judged.
    """
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
        timeout=300,
    )
    assert file.exists(), done.stderr[-3000:]
    figures = json.loads(file.read_text())
    assert figures["broken"] == {}, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0
    return figures


def test_a_run_of_seconds_kills_workers_and_times_a_take_over(need_services, tmp_path):
    figures = run(tmp_path)
    assert figures["kills"] > 0
    assert figures["lapses"] == 0
    assert figures["takeover_seconds"] > 0
    assert set(figures["detail"]) == {"kills", "takeover"}
    assert {"steps", "broker_away", "sts_away"} <= set(figures["not_begun"])


def test_a_worker_killed_during_a_rotation_is_replaced_without_a_lapse(need_services, tmp_path):
    figures = run(tmp_path, "--only=steps")
    assert figures["lapses"] == 0
    assert figures["detail"]["steps"]["assumed"]["wasted"] > 0


def test_workers_stopped_past_their_lease_write_nothing_when_they_go_on(need_services, tmp_path):
    figures = run(tmp_path, "--only=stopped")
    assert figures["detail"]["stopped"]["stale_writes"] == 0
    assert figures["detail"]["stopped"]["mixed"] == 0


def test_slow_clients_behind_the_proxy_hold_nobody_up(need_services, tmp_path):
    need_nginx()
    figures = run(tmp_path, "--only=slow_clients")
    assert figures["detail"]["slow_clients"]["slow_headers"] > 0


def test_who_is_removed_gets_nothing_more(need_services, tmp_path):
    figures = run(tmp_path, "--only=removals")
    assert figures["secrets_after_removal"] == 0
    assert figures["detail"]["removals"]["secrets_handed_out"] > 0


def test_a_held_ledger_is_one_teams(need_services, tmp_path):
    figures = run(tmp_path, "--only=held_head")
    assert figures["detail"]["held_head"]["lines_meanwhile"] == 0


def test_a_held_row_of_a_team_stops_its_changes_and_nothing_else(need_services, tmp_path):
    figures = run(tmp_path, "--only=held_row")
    assert figures["lapses"] == 0
    assert figures["detail"]["held_row"]["changes"]["held"] == {
        "503": figures["detail"]["held_row"]["refused"]
    }
    assert figures["detail"]["held_row"]["refused"] > 0
