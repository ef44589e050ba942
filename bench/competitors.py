"""Run competitors, each in a process of its own: the baseline, boto3's profiles, Leapp's core."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.environment import Unmeasurable
from tests.harness.processes import CHECKOUT

LEAPP = "0.1.143"
# What leapp-core's services import, at the versions that it names as its peers. All its peers, as
# npm would take them, want a compiler and a package from a git server; and three packages that only
# its plug-ins use are replaced by an empty one.
LEAPP_PACKAGE = {
    "private": True,
    "dependencies": {
        "@noovolari/leapp-core": LEAPP,
        "aws-sdk": "2.928.0",
        "axios": "^0.27.2",
        "class-transformer": "^0.4.0",
        "crypto-js": "4.1.1",
        "date-fns": "^2.26.0",
        "ini": "~2.0.0",
        "reflect-metadata": "^0.1.13",
        "rxjs": "~6.6.7",
        "tslib": "^2.3.1",
        "uuid": "~8.3.2",
    },
    "overrides": dict.fromkeys(("require-module", "folder-hash", "tsoa"), "npm:noop@1.0.1"),
}
LONGEST_SECONDS = 600


class NotThere(Exception):
    """Say why a competitor cannot be run here."""


def baseline(url: str, calls: int, threads: int = 1, processes: int = 1) -> dict[str, float]:
    """Return {"cpu_ms": per call, "wall_seconds": of the slowest process} of a bare loop.

    `calls` are divided among the processes.
    """
    command = [sys.executable, "-m", "bench.baseline", f"--url={url}", f"--threads={threads}"]
    each = -(-calls // processes)
    running = [
        subprocess.Popen(
            [*command, f"--calls={each}"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            raise Unmeasurable("The baseline did not start.")
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=LONGEST_SECONDS)[0]) for process in running]
    return {
        "cpu_ms": 1000 * sum(a["cpu_seconds"] for a in answers) / sum(a["calls"] for a in answers),
        "wall_seconds": max(a["wall_seconds"] for a in answers),
    }


def profiles(url: str, count: int, threads: int = 1, hops: int = 2) -> dict[str, float]:
    """Measure boto3's chained profiles; see `bench.profiles`.

    Returns {"active", "hops", "cpu_seconds", "wall_seconds"}.
    """
    return _run(
        [
            *(sys.executable, "-m", "bench.profiles", f"--url={url}", f"--count={count}"),
            *(f"--threads={threads}", f"--hops={hops}"),
        ]
    )


def install_leapp(folder: Path) -> Path:
    """Install Leapp's core there by npm. Raises `NotThere`."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise NotThere(f"{command} is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps(LEAPP_PACKAGE))
    flags = [
        "--legacy-peer-deps",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
    ]
    try:
        done = subprocess.run(
            ["npm", "install", *flags], cwd=folder, capture_output=True, text=True, timeout=180
        )
    except subprocess.TimeoutExpired:
        raise NotThere("npm did not end within 180 s") from None
    if done.returncode:
        raise NotThere(
            f"npm: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else 'failed'}"
        )
    return folder


def leapp(folder: Path, url: str, count: int) -> dict[str, Any]:
    """{"wanted", "active", "seconds", "errors"} of Leapp's core; see leapp.mjs."""
    return _run(["node", str(Path(__file__).with_name("leapp.mjs")), str(folder), url, str(count)])


def _run(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    if done.returncode:
        raise Unmeasurable(f"{Path(command[0]).name}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
