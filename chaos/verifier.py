"""Compare what the STS recorded with what the product stored and delivered."""

import collections
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from chaos.installation import Installation
from chaos.monitor import CREDENTIAL, Seen, parts_fault, triplet_fault
from sessions.db.letters import unpack
from sessions.db.repeated import number_in
from sessions.db.short_lines import join, reference_in

# Rotation is due at 35–40 sixtieths of a life: what is minted again clearly before was minted for
# nothing.
EARLY = 33 / 60


@dataclass
class Facts:
    """Hold what the verifier has counted.

    `calls`: AssumeRole calls that were answered with a credential. `wasted`: of these, those that
    were never stored. `early`: stored long before they were due. `faults`: whatever must never be,
    in words.
    """

    calls: int = 0
    stored: int = 0
    wasted: int = 0
    early: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    wasted_examples: list[str] = field(default_factory=list)
    early_examples: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def double_issue_percent(self) -> float:
        return 100 * (self.wasted + self.early) / self.calls if self.calls else 0.0

    def figures(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "wasted": self.wasted,
            "wasted_examples": self.wasted_examples,
            "early": self.early,
            "early_examples": self.early_examples,
            "double_issue_percent": round(self.double_issue_percent, 3),
            "refused": self.refused,
        }


def mark(installation: Installation) -> int:
    """Remember the end of the ledger: credentials stored before may be replaced at any time

    (see `Installation.spread`).
    """
    found: int = installation.one("SELECT coalesce(max(seq), 0) FROM chains_event")
    return found


def quiesce(installation: Installation, seconds: float = 90) -> None:
    """Let all due work finish and put off the rest, for `Installation.spread` to bring forward.

    Then every call that was answered has been stored, or never will be.
    """
    installation.rows.execute(
        "UPDATE chains_credential SET due_at = due_at + interval '1 hour' WHERE due_at >"
        " clock_timestamp()"
    )
    installation.wait(lambda: not _busy(installation), "all that is due is done", seconds)


def _busy(installation: Installation) -> int:
    found: int = installation.one(
        "SELECT count(*) FROM chains_credential"
        " WHERE lease_until > clock_timestamp() OR due_at <= clock_timestamp()"
    )
    return found


@contextmanager
def at_rest(installation: Installation) -> Iterator[None]:
    """Stop every worker while two books are compared."""
    names = [name for name in installation.processes.names() if name != "web"]
    while True:
        quiesce(installation)
        for name in names:
            installation.processes.pause(name)
        if not _busy(installation):
            break
        for name in names:
            installation.processes.go_on(name)
    yield
    for name in names:
        installation.processes.go_on(name)


def wasted(installation: Installation) -> int:
    """Count the answered calls that are not stored up to now."""
    stored: int = installation.one(
        "SELECT count(*) FROM chains_event WHERE kind = 'credential.minted'"
    )
    answered: int = installation.sts.count()["by_code"].get("ok", 0)
    return answered - stored


def examine(installation: Installation, seen: Seen | None, marked: int = 0) -> Facts:
    """Everything that can be known at the end of a scenario."""
    with at_rest(installation):
        return _examine(installation, seen, marked)


def _minted(installation: Installation) -> list[Any]:
    """List what the ledger says was issued: number, time, fingerprint, key, the key that signed."""
    rows = installation.rows.execute("SELECT id, data FROM chains_repeateddata").fetchall()
    parts = dict(rows)
    found = []
    for seq, at, stored in installation.rows.execute(
        "SELECT seq, at, data FROM chains_event WHERE kind = 'credential.minted' ORDER BY seq"
    ).fetchall():
        reference = reference_in(stored)
        said = join(stored, parts[number_in(reference)]) if reference else unpack(stored)
        names = ("credential", "access_key_id", "parent_access_key_id")
        found.append((seq, at, *(said[name] for name in names)))
    return found


def _examine(installation: Installation, seen: Seen | None, marked: int) -> Facts:
    calls = [call for call in installation.sts.calls() if call["action"] == "AssumeRole"]
    by_key = {call["issued_access_key_id"]: call for call in calls if call["issued_access_key_id"]}
    minted = _minted(installation)
    stored = {key for _, _, _, key, _ in minted}
    facts = Facts(calls=len(by_key), stored=len(minted), wasted=len(by_key.keys() - stored))
    facts.refused = dict(collections.Counter(c["code"] for c in calls if c["code"]))
    facts.wasted_examples = _examples(by_key, stored)
    _check_events(installation, minted, by_key, marked, facts)
    _check_rows(installation, minted, by_key, facts)
    if seen:
        _check_served(installation, seen, by_key, facts)
    if said := installation.verify_ledger():
        facts.faults.append(f"the ledger does not verify: {said}")
    return facts


def _examples(by_key: dict[str, Any], stored: set[str]) -> list[str]:
    """Describe some wasted calls.

    Role, time of the answer, and time until the next call for the role.
    """
    told = []
    for key in list(by_key.keys() - stored)[:5]:
        call = by_key[key]
        later = [
            other["at"] - call["at"]
            for other in by_key.values()
            if other["role_arn"] == call["role_arn"] and other["at"] > call["at"]
        ]
        again = f"again {min(later):.1f} s later" if later else "never again"
        heard = "answered" if call["delivered"] else "nobody there for the answer"
        took = call["answered_at"] - call["at"]
        told.append(f"{call['role_arn']}: {heard} after {took:.2f} s, {again}")
    return told


def _check_events(
    installation: Installation, minted: list[Any], by_key: dict[str, Any], marked: int, facts: Facts
) -> None:
    by_credential = collections.defaultdict(list)
    for seq, at, credential, key, parent_key in minted:
        call = by_key.get(key)
        if call is None:
            facts.faults.append(f"event {seq} names {key}, which the STS never issued")
            continue
        if call["access_key_id"] != parent_key:
            facts.faults.append(
                f"event {seq} names {parent_key} as parent, the STS was called by {call['caller']}"
            )
        by_credential[credential].append((seq, at, call))
    if len({key for _, _, _, key, _ in minted}) != len(minted):
        facts.faults.append("one issued key was stored twice")
    for lines in by_credential.values():
        for (seq, at, call), (next_seq, next_at, next_call) in pairwise(lines):
            if next_call["at"] < call["at"]:
                facts.faults.append(
                    f"stale write: event {next_seq} stored an older answer over a newer one"
                )
            if seq > marked and (next_at - at).total_seconds() < EARLY * installation.life_seconds:
                facts.early += 1
                if len(facts.early_examples) < 5:
                    gap = (next_at - at).total_seconds()
                    facts.early_examples.append(
                        f"{call['role_arn']}: stored again {gap:.2f} s later"
                    )
    generations = dict(
        installation.rows.execute(
            "SELECT fingerprint, generation FROM chains_credential WHERE level > 0"
        ).fetchall()
    )
    for credential, lines in by_credential.items():
        if credential in generations and generations[credential] != len(lines):
            facts.faults.append(
                f"{credential[:12]} is of generation {generations[credential]}, but was stored"
                f" {len(lines)} times"
            )


def _check_rows(
    installation: Installation, minted: list[Any], by_key: dict[str, Any], facts: Facts
) -> None:
    last = {credential: key for _, _, credential, key, _ in minted}
    rows = installation.rows.execute(
        f"SELECT {CREDENTIAL}, request->>'role_arn', request->>'role_session_name' FROM"
        " chains_credential WHERE sealed IS NOT NULL"
    ).fetchall()
    for *row, role_arn, role_session_name in rows:
        fingerprint, _, _, key, _, _, expires_at = row
        if last.get(fingerprint) != key:
            facts.faults.append(f"{fingerprint[:12]} holds {key} without an event")
        if fault := triplet_fault(tuple(row)):
            facts.faults.append(fault)
        call = by_key.get(key, {})
        if (call.get("role_arn"), call.get("role_session_name")) != (role_arn, role_session_name):
            facts.faults.append(f"{fingerprint[:12]} holds a credential of another role")
        if call.get("expires_at") != expires_at.timestamp():
            facts.faults.append(f"{fingerprint[:12]} believes in another end than the STS")


def _check_served(
    installation: Installation, seen: Seen, by_key: dict[str, Any], facts: Facts
) -> None:
    facts.faults += seen.mixed
    facts.faults += [f"{key} was served after its end" for key in seen.served_after_end]
    revealed = collections.Counter(
        key
        for (key,) in installation.rows.execute(
            "SELECT data->>'access_key_id' FROM chains_event WHERE kind = 'credential.revealed'"
        )
    )
    handed_out: collections.Counter[str] = collections.Counter()
    for one in seen.served:
        handed_out[one.access_key_id] += 1
        if fault := parts_fault(one.access_key_id, one.secret_access_key, one.session_token):
            facts.faults.append(f"served: {fault}")
        call = by_key.get(one.access_key_id)
        if call is None:
            facts.faults.append(f"served: {one.access_key_id}, which the STS never issued")
        elif one.expires_at != call["expires_at"]:
            facts.faults.append(
                f"served: {one.access_key_id} with another end than the STS gave it"
            )
    for key, times in handed_out.items():
        if revealed[key] < times:
            facts.faults.append(f"{key} was delivered {times} times with {revealed[key]} events")
