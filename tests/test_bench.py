"""Run the bench, small.

Every figure is there and what is counted is right. No time is asserted here.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.harness.processes import CHECKOUT

KEYS = {
    *("cpu_per_hop_ratio", "profiles_ratio", "sts_calls_ratio", "start_together_seconds"),
    *("start_one_by_one_seconds", "catch_up_ratio", "cpu_per_hour_seconds", "lag_seconds"),
    *("start_p95_ms", "growth_ratio", "page_growth_ratio"),
    *("verify_ledger_seconds", "verify_ledger_megabytes", "export_ledger_seconds"),
    *("verify_export_seconds", "verify_export_megabytes", "whois_ms", "ledger_reverse_ms"),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return what a run of a few dozen sessions has written."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    server = os.environ.get("DATABASE_URL")
    database = (
        [f"--postgres={server.rpartition('/')[0]}/postgres"] if server else ["--database=sqlite"]
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--scale=0.002", "--no-npm", f"--json={file}", *database],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text()), done.stdout


@pytest.mark.processes
def test_every_figure_is_measured_and_has_its_spread(measured):
    found, table = measured
    expected = KEYS | (
        {
            *("claim_due_ms", "claim_nothing_due_ms", "lock_seconds", "lock_rotation_seconds"),
            *("append_ms", "append_without_terms_ms"),
            *("append_100_ms", "append_100_without_terms_ms"),
            *("event_bytes", "appends_per_second", "appends_one_team_per_second"),
        }
        if "DATABASE_URL" in os.environ
        else set()
    )
    assert expected <= found.keys()
    for key in expected:
        detail = found["detail"][key]
        assert found[key] == detail["median"]
        assert detail["spread"][0] <= detail["median"] <= detail["spread"][1]
        assert key in table


@pytest.mark.processes
def test_a_first_mint_takes_one_call_a_hop(measured):
    found, _ = measured
    detail = found["detail"]["sts_calls_ratio"]
    assert detail["calls"] == detail["least_possible"] == 21
    assert found["sts_calls_ratio"] == 1.0


@pytest.mark.processes
def test_what_was_not_measured_is_null_and_says_why(measured):
    found, table = measured
    left_out = [key for key in found if key.startswith("leapp_together_")]
    assert left_out
    assert all(found[key] is None for key in left_out)
    assert "not measured: --no-npm" in table
