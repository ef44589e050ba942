"""Run the bench, small: all of it where PostgreSQL is, and a part on SQLite.

Every figure is there and what is counted is right. No time is asserted here. It makes databases and
a broker of its own.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.harness import servers
from tests.harness.processes import CHECKOUT

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]

KEYS = {
    *("cpu_per_hop_ratio", "profiles_ratio", "sts_calls_ratio", "start_together_seconds"),
    *("start_one_by_one_seconds", "catch_up_ratio", "cpu_per_hour_seconds", "lag_seconds"),
    *("endpoint_cpu_ratio", "endpoint_p99_ms", "endpoint_process_call_ms", "page_reveal_ms"),
    *("start_p95_ms", "growth_ratio", "page_growth_ratio"),
    *("verify_ledger_seconds", "verify_ledger_megabytes", "export_ledger_seconds"),
    *("verify_export_seconds", "verify_export_megabytes", "whois_ms", "ledger_reverse_ms"),
}


OF_POSTGRESQL = {
    *("claim_due_ms", "claim_nothing_due_ms", "lock_seconds", "lock_rotation_seconds"),
    *("append_ms", "append_without_terms_ms", "append_100_ms", "append_100_without_terms_ms"),
    *("event_bytes", "appends_per_second", "appends_one_team_per_second"),
}


def run(folder, *options):
    """Return what a run of a few dozen sessions has written, and its table."""
    file = folder / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--scale=0.002", "--no-npm", f"--json={file}", *options],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text()), done.stdout


@pytest.fixture(scope="module")
def database():
    """Choose PostgreSQL, which CI has to have; without one, SQLite."""
    try:
        servers.check()
    except servers.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason), pytrace=False)
        return "sqlite"
    return "postgres"


@pytest.fixture(scope="module")
def measured(database, tmp_path_factory):
    return run(tmp_path_factory.mktemp("bench"), f"--database={database}")


def test_every_figure_is_measured_and_has_its_spread(measured, database):
    found, table = measured
    expected = KEYS | (OF_POSTGRESQL if database == "postgres" else set())
    assert expected <= found.keys()
    for key in expected:
        detail = found["detail"][key]
        assert found[key] == detail["median"]
        assert detail["spread"][0] <= detail["median"] <= detail["spread"][1]
        assert key in table


def test_a_first_mint_takes_one_call_a_hop(measured):
    found, _ = measured
    detail = found["detail"]["sts_calls_ratio"]
    assert detail["calls"] == detail["least_possible"] == 21
    assert found["sts_calls_ratio"] == 1.0


def test_on_sqlite_workers_are_measured_and_locks_are_not(tmp_path):
    found, table = run(tmp_path, "--database=sqlite", "--only=sts_calls,lock_times")
    assert found["sts_calls_ratio"] == 1.0
    assert found["lock_seconds"] is None
    assert "not measured: all teams share SQLite's one lock" in table


def test_what_was_not_measured_is_null_and_says_why(measured):
    found, table = measured
    left_out = [key for key in found if key.startswith("leapp_together_")]
    assert left_out
    assert all(found[key] is None for key in left_out)
    assert "not measured: --no-npm" in table
