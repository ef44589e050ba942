"""Verify an export of a ledger without its database: see `sessions.ledger.export` for its rows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions.ledger import tombstones
from sessions.ledger.checkpoints import Book, read
from sessions.ledger.lines import Line, encode
from sessions.ledger.signed_lines import CheckpointError
from sessions.ledger.tombstones import Removed
from sessions.ledger.verification import Fault, Walk

_HASH = b',"hash":"'
_HASH_AND_END = 64 + len(b'"}')


class Unreadable(ValueError):
    """Report a row of an export that is neither a line nor a checkpoint; the message names it."""


@dataclass
class Exported:
    """Hold what is known of an export once it has been read.

    `walk` is where it ended, `first` and `count` are about its lines, `gaps` counts the places at
    which lines are left out, `problems` are sentences about checkpoints in it, `removed` is the
    tombstone that it begins with.
    """

    walk: Walk
    first: int = 0
    count: int = 0
    gaps: int = 0
    problems: list[str] = field(default_factory=list)
    removed: Removed | None = None


def verify_export(
    rows: Iterable[bytes], book: Book, *, part: bool = False
) -> tuple[Exported, Fault | None]:
    """Verify one team's export: its lines, the checkpoints in it, and those of `book`.

    `part`: it may begin and end anywhere and leave lines out, as a search does; what is there is
    verified all the same. Raises `Unreadable`.
    """
    known = book.of_teams()
    report = Exported(Walk("", {}))
    for number, row in enumerate(rows, 1):
        said = _parsed(row, number)
        if said.get("format") == tombstones.FORMAT:
            fault = _begin_after(report, row, book.public_keys, number)
        elif "signature" in said:
            fault = _compare(report, row, book.public_keys, number)
        else:
            team_id, line = _line(row, said, number)
            if not report.count:
                removed = report.removed or book.removed.get(team_id)
                if removed and (removed.team_id, removed.seq + 1) != (team_id, line.seq):
                    removed = None
                report.walk = Walk.after(removed, team_id, known.get(team_id, {}))
                if fault := report.walk.confirm_start():
                    return report, fault
                report.first = line.seq
            fault = _follow(report, team_id, line, part=part)
        if fault:
            return report, fault
    if not report.count:
        raise Unreadable("the export has no lines")
    return report, None if part else report.walk.beyond()


def _follow(report: Exported, team_id: str, line: Line, *, part: bool) -> Fault | None:
    going = report.walk
    if team_id != going.team_id:
        return Fault(going.team_id, going.seq + 1, "another team's line stands in its place")
    if part and line.seq > going.seq + 1:
        report.gaps += bool(report.count)
        going.seq = going.signed_seq = line.seq - 1
        going.prev = line.prev
    report.count += 1
    return going.follow([line])


def _compare(report: Exported, row: bytes, public_keys: str, number: int) -> Fault | None:
    """Compare a checkpoint with the line that it stands behind."""
    going = report.walk
    if not public_keys:
        return None
    try:
        signed = read(row.strip().decode(), public_keys)
        if (signed.team_id, signed.seq) != (going.team_id, going.seq):
            raise CheckpointError("the checkpoint does not stand behind its line")
    except (CheckpointError, UnicodeDecodeError) as error:
        report.problems.append(f"row {number}: {error}.")
        return None
    return going.compare([(signed.head, signed.at)])


def _begin_after(report: Exported, row: bytes, public_keys: str, number: int) -> Fault | None:
    """Read the tombstone that an export begins with, as the lines before it were removed."""
    text = row.strip().decode("utf-8", "replace")
    try:
        if report.count:
            raise CheckpointError("a tombstone stands before the first line only")
        found = tombstones.read(text, public_keys) if public_keys else tombstones.parse(text)
    except CheckpointError as error:
        report.problems.append(f"row {number}: {error}.")
        return None
    report.removed = found
    return None


def _parsed(row: bytes, number: int) -> dict[str, Any]:
    try:
        said = json.loads(row)
    except (ValueError, RecursionError):
        raise Unreadable(f"row {number} is not JSON") from None
    if not isinstance(said, dict):
        raise Unreadable(f"row {number} is no object")
    return said


def _line(row: bytes, said: dict[str, Any], number: int) -> tuple[str, Line]:
    """Return the team and the line of a row.

    Hashed is the row as it stands; one that another program has written again is brought back into
    its canonical form.
    """
    values = [said.get(each) for each in ("team_id", "prev", "hash")]
    seq = said.get("seq")
    if type(seq) is not int or not all(isinstance(each, str) for each in values):
        raise Unreadable(f"row {number} is no line of a ledger")
    team_id, prev, line_hash = map(str, values)
    row = row.rstrip(b"\r\n")
    content = row[: -_HASH_AND_END - len(_HASH)] + b"}"
    if row[len(content) - 1 :] != b'%s%s"}' % (_HASH, line_hash.encode("utf-8", "replace")):
        rest = {key: value for key, value in said.items() if key != "hash"}
        try:
            content = encode(rest).encode()
        except (ValueError, RecursionError):
            raise Unreadable(f"row {number} is no line of a ledger") from None
    return team_id, Line(seq, prev, line_hash, content)
