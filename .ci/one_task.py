"""Run by .ci/run with the Python of an environment that holds the runtime lock alone: a whole
installation of it is started (embedded Valkey and SQLite), and its worker takes a task from the
broker and mints a chain at the strict STS.
"""

# ruff: noqa: T201  (a script: it checks, and it prints)

import importlib.metadata
import re
import sqlite3
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tests.harness.installation import Installation  # noqa: E402
from tests.harness.sts import FakeSts  # noqa: E402

ROLES = ["arn:aws:iam::111122223333:role/Hub", "arn:aws:iam::444455556666:role/Leaf"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_that_only_the_lock_is_there() -> None:
    lock = (CHECKOUT / "requirements.txt").read_text()
    locked = {
        normal(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[.*?\])?==", lock, re.M)
    }
    there = {normal(found.metadata["Name"]) for found in importlib.metadata.distributions()}
    more = there - locked - {"pip", "setuptools"}
    assert not more, f"not in requirements.txt: {sorted(more)}"
    print(f"{len(there & locked)} packages, all from requirements.txt")


def work(installation: Installation, sts: FakeSts) -> None:
    key = sts.add_user("ci")
    sts.add_role(ROLES[0], trusts=[sts.arn_of(key)])
    sts.add_role(ROLES[1], trusts=[ROLES[0]])
    installation.start()
    print(installation.setup("ci", "ada"))
    token = installation.token("ada", "ci")
    assumer = installation.create_root(token, key)
    for role in ROLES:
        assumer = installation.create_chained(token, assumer, role)
    assert installation.status(assumer, token) == "inactive"
    installation.api("POST", f"/sessions/{assumer}/start", token)
    installation.wait_until_active(assumer, token)
    assumed = [
        call["role_arn"]
        for call in sts.calls
        if call["action"] == "AssumeRole" and not call["code"]
    ]
    assert assumed == ROLES, assumed
    with sqlite3.connect(
        f"file:{installation.folder / 'db.sqlite3'}?mode=ro", uri=True
    ) as database:
        beats = [
            name for (name,) in database.execute("SELECT name FROM chains_heartbeat ORDER BY name")
        ]
    database.close()
    assert {"worker", "broker", "clock"} <= set(beats), beats
    print(
        f"The worker did its task: {len(ROLES)} hops assumed, the session is active. Heartbeats:"
        f" {beats}"
    )
    print(installation.manage("verify_ledger"))
    code, printed = installation.stop()
    assert code == 0, printed
    assert not installation.left(), installation.left()


if __name__ == "__main__":
    check_that_only_the_lock_is_there()
    with FakeSts() as strict, tempfile.TemporaryDirectory(prefix="cw1-") as folder:
        chainweb = Installation(
            Path(folder), {"CHAINWEB_AWS": "real", "AWS_ENDPOINT_URL_STS": strict.url}
        )
        try:
            work(chainweb, strict)
        finally:
            chainweb.end()
