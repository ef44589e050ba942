"""Write and read checkpoints: signed statements of where a team's ledger ended at some moment.

A hash chain shows a change by anyone who cannot compute the rest of it again. A checkpoint shows
the others: it is signed with a key that neither the web nor the database has, and copies of it lie
outside the database.

A checkpoint is one line of JSON with sorted keys and no blanks, and its signature as the last key:

    {"at":"2026-11-27T12:05:00.000000+00:00","format":"chainweb-checkpoint-1","head":"<hash of line
    980>","key":"c1","previous":"<SHA-256 of the team's checkpoint before>","seq":980,"team_id":"…",
    "signature":"<Ed25519, base64>"}

Signed are the bytes of the same object without its last key. `previous` is empty in the first.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sessions.ledger import tombstones
from sessions.ledger.signed_lines import (
    SIGNATURE,
    CheckpointError,
    moment,
    private_keys_in,
    public_keys_in,
    sign_text,
    verify_text,
)
from sessions.ledger.tombstones import Removed

FORMAT = "chainweb-checkpoint-1"


@dataclass(frozen=True)
class Signed:
    """Hold one checkpoint: line `seq` of that team had the hash `head` at `at`.

    `text` is the signed line as it was made, `key_id` names the key, `previous` is the `digest` of
    the team's checkpoint before.
    """

    team_id: str
    seq: int
    head: str
    at: datetime
    previous: str
    key_id: str
    text: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the text: the next checkpoint's `previous`."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def sign(
    private_keys: str, *, team_id: str, seq: int, head: str, at: datetime, previous: str
) -> Signed:
    """Sign a checkpoint with the newest of the private keys (`id:base64,…`, seeds of 32 bytes).

    Raises `SealingError` for keys that are malformed, StopIteration for none.
    """
    said = {"format": FORMAT, "head": head, "previous": previous, "seq": seq, "team_id": team_id}
    key_id, text = sign_text(private_keys, said | {"at": moment(at)})
    return Signed(team_id, seq, head, at, previous, key_id, text)


def read(text: str, public_keys: str) -> Signed:
    """Read a checkpoint and check its signature against the public keys (`id:base64,…`).

    Raises `CheckpointError` if it is none, if its key is not among them, or if it does not hold.
    """
    signed = parse(text)
    verify_text(text, signed.key_id, public_keys)
    return signed


def parse(text: str) -> Signed:
    """Read what a checkpoint says, whoever signed it. Raises `CheckpointError`."""
    try:
        said = json.loads(text)
        if said["format"] != FORMAT or not text.rpartition(SIGNATURE)[1]:
            raise CheckpointError("it is of another format")
        seq = said["seq"]
        names = [said[each] for each in ("team_id", "head", "previous", "key")]
        if type(seq) is not int or seq < 0 or not all(isinstance(each, str) for each in names):
            raise CheckpointError("it is not complete")
        team_id, head, previous, key_id = names
        at = datetime.fromisoformat(said["at"]).astimezone(UTC)
        return Signed(team_id, seq, head, at, previous, key_id, text)
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError):
        raise CheckpointError("it is no checkpoint") from None


@dataclass
class Book:
    """Collect checkpoints whose signatures hold, and what is wrong with the others.

    Beside them it collects tombstones: `removed` has the last of each team. `problems` are
    sentences; `unread` counts lines that are neither, such as one that a full disk has cut: what it
    was to say stands in a later line, or is missed by `gaps`.
    """

    public_keys: str
    unread: int = 0
    problems: list[str] = field(default_factory=list)
    removed: dict[str, Removed] = field(default_factory=dict)
    _by_digest: dict[str, tuple[str, int, str, datetime, str]] = field(default_factory=dict)

    def add(self, texts: Iterable[str], source: str) -> None:
        """Add checkpoints, a line each. `source` names where they are from in problems."""
        for number, text in enumerate((each.strip() for each in texts), 1):
            if not text:
                continue
            try:
                if tombstones.is_one(text):
                    self._bury(tombstones.read(text, self.public_keys))
                    continue
                signed = read(text, self.public_keys)
            except CheckpointError as error:
                if str(error) in {"it is no checkpoint", "it is no tombstone"}:
                    self.unread += 1
                else:
                    self.problems.append(f"{source}, line {number}: {error}.")
                continue
            self._by_digest[signed.digest] = (
                *(signed.team_id, signed.seq, signed.head, signed.at),
                signed.previous,
            )

    def _bury(self, found: Removed) -> None:
        known = self.removed.get(found.team_id)
        if known is None or known.seq < found.seq:
            self.removed[found.team_id] = found

    def of_teams(self) -> dict[str, dict[int, list[tuple[str, datetime]]]]:
        """Return {team id: {number of a line: [(the hash it had, when that was signed)]}}."""
        teams: dict[str, dict[int, list[tuple[str, datetime]]]] = defaultdict(dict)
        for team_id, seq, head, at, _ in self._by_digest.values():
            teams[team_id].setdefault(seq, []).append((head, at))
        return teams

    def gaps(self) -> list[tuple[str, int]]:
        """Return (team id, line) of checkpoints whose predecessor is missing.

        The oldest of a team may have lost it: copies are put away in time.
        """
        oldest: dict[str, datetime] = {}
        for team_id, _, _, at, _ in self._by_digest.values():
            oldest[team_id] = min(at, oldest.get(team_id, at))
        return [
            (team_id, seq)
            for team_id, seq, _, at, previous in self._by_digest.values()
            if previous and previous not in self._by_digest and at > oldest[team_id]
        ]


def key_problem(private_keys: str, public_keys: str) -> str:
    """Say why these settings cannot work together; empty if they can, or if both are empty."""
    private, public = private_keys_in(private_keys), public_keys_in(public_keys)
    for key_id, key in private.items():
        named = public.get(key_id)
        if named is None or named.public_bytes_raw() != key.public_key().public_bytes_raw():
            return (
                "CHAINWEB_CHECKPOINT_PUBLIC_KEY has not the public half of each of"
                " CHAINWEB_CHECKPOINT_KEY: what workers sign could not be verified. Both come from"
                " one `manage.py keys`."
            )
    return ""
