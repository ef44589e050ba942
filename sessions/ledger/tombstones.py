"""Write and read tombstones: signed statements that the first lines of a ledger were removed.

A ledger is kept for as long as its operator says. What is removed is the one thing that an
append-only ledger forgets, so it says which lines, by whom, and what the hash of the last one was:
the line after it still follows that hash.

    {"at":"…","by":"ops","event":5120,"first":1,"format":"chainweb-tombstone-1","head":"<hash of
    line 980>","key":"c1","seq":980,"team_id":"…","signature":"<Ed25519, base64>"}

`event` is the number of the line that records it, `sessions.ledger.events.ledger.LedgerRemoved`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from sessions.ledger.signed_lines import SIGNATURE, CheckpointError, moment, sign_text, verify_text

FORMAT = "chainweb-tombstone-1"


@dataclass(frozen=True)
class Removed:
    """Hold one tombstone: the lines from `first` to `seq`, whose hash was `head`, are removed.

    `text` is the signed line as it was made, `event` the number of the line that records it.
    """

    team_id: str
    first: int
    seq: int
    head: str
    at: datetime
    by: str
    event: int
    key_id: str
    text: str


def sign(
    private_keys: str,
    *,
    team_id: str,
    first: int,
    seq: int,
    head: str,
    at: datetime,
    by: str,
    event: int,
) -> Removed:
    """Sign a tombstone with the newest of the private keys (`id:base64,…`)."""
    said = {"format": FORMAT, "team_id": team_id, "first": first, "seq": seq, "head": head}
    key_id, text = sign_text(private_keys, said | {"at": moment(at), "by": by, "event": event})
    return Removed(team_id, first, seq, head, at, by, event, key_id, text)


def is_one(text: str) -> bool:
    """Tell whether a signed line says that it is a tombstone."""
    return f'"format":"{FORMAT}"' in text


def read(text: str, public_keys: str) -> Removed:
    """Read a tombstone and check its signature. Raises `CheckpointError`."""
    found = parse(text)
    verify_text(text, found.key_id, public_keys)
    return found


def parse(text: str) -> Removed:
    """Read what a tombstone says, whoever signed it. Raises `CheckpointError`."""
    try:
        said = json.loads(text)
        first, seq, event = (said[each] for each in ("first", "seq", "event"))
        names = [said[each] for each in ("team_id", "head", "by", "key")]
        numbers_fit = all(type(each) is int for each in (first, seq, event)) and (
            0 < first <= seq < event
        )
        if said["format"] != FORMAT or not text.rpartition(SIGNATURE)[1] or not numbers_fit:
            raise CheckpointError("it is no tombstone")
        team_id, head, by, key_id = map(str, names)
        at = datetime.fromisoformat(said["at"]).astimezone(UTC)
        return Removed(team_id, first, seq, head, at, by, event, key_id, text)
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError):
        raise CheckpointError("it is no tombstone") from None
