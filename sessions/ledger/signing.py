"""Make the checkpoints that are due, and send them outside the database.

Only workers do: they alone have the private key. Without one nothing is made, and nothing else is
missing.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from sessions.db.clock import database_now
from sessions.ledger import checkpoints, outlets
from sessions.ledger.chain import hash_of
from sessions.ledger.checkpoints import Signed
from sessions.ledger.lines import stored_lines
from sessions.ledger.removed import removed_of
from sessions.ledger.signed_lines import CheckpointError
from sessions.ledger.verification import Fault, Walk
from sessions.models import Checkpoint, Event, LedgerHead, Tombstone

log = structlog.get_logger(__name__)

# So many checkpoints go out at once: about 200 kB.
AT_ONCE = 500


def sign_and_send() -> dict[str, bool]:
    """Sign where each team's ledger ends, if it has moved, and send what has not been sent.

    Returns for each place outside whether it has all.
    """
    if not settings.CHAINWEB_CHECKPOINT_KEY:
        return {}
    sign_moved_heads()
    return send_unsent()


def sign_moved_heads() -> list[Fault]:
    """Sign a checkpoint for each team whose head has moved since its last.

    The lines since then are verified before. A ledger that does not hold gets no checkpoint: its
    fault is logged as an error and returned.
    """
    as_signed = Checkpoint.objects.filter(
        team_id=OuterRef("team_id"), seq=OuterRef("seq"), head=OuterRef("hash")
    )
    faults = []
    for head in LedgerHead.objects.filter(~Exists(as_signed), seq__gt=0).order_by("pk"):
        if fault := _sign(head):
            log.error(
                "a ledger fails verification; no checkpoint is signed. Run manage.py verify_ledger",
                team=fault.team_id,
                line=fault.seq,
                reason=fault.reason,
            )
            faults.append(fault)
    return faults


def _sign(head: LedgerHead) -> Fault | None:
    """Verify a team's lines from its last checkpoint to that head, and sign one for it."""
    last = _newest(head.team_id)
    removed = removed_of(head.team_id)
    going = Walk.after(removed, head.team_id, {})
    lines = Event.objects.filter(team_id=head.team_id, seq__lte=head.seq)
    if last and last.seq > going.seq:
        stood = lines.filter(seq=last.seq).first()
        if stood is None or hash_of(stood) != last.head:
            return Fault(head.team_id, last.seq, "it is not the line that was signed")
        going.seq, going.prev = last.seq, last.head
        lines = lines.filter(seq__gt=last.seq)
    if fault := going.follow(stored_lines(lines, (going.seq, going.prev))):
        return fault
    if (going.seq, going.prev) != (head.seq, head.hash):
        return Fault(head.team_id, going.seq + 1, "the ledger's head is not its last line's")
    signed = checkpoints.sign(
        settings.CHAINWEB_CHECKPOINT_KEY,
        team_id=head.team_id,
        seq=head.seq,
        head=head.hash,
        at=database_now(),
        previous=last.digest if last else "",
    )
    # Another worker that signs at this moment has made the one that follows the last.
    Checkpoint.objects.bulk_create([_row(signed)], ignore_conflicts=True)
    return None


def _row(signed: Signed) -> Checkpoint:
    return Checkpoint(
        team_id=signed.team_id,
        seq=signed.seq,
        head=signed.head,
        at=signed.at,
        previous=signed.previous,
        digest=signed.digest,
        text=signed.text,
    )


def _newest(team_id: str) -> Checkpoint | None:
    return Checkpoint.objects.filter(team_id=team_id).order_by("-pk").first()


def send_unsent() -> dict[str, bool]:
    """Send each checkpoint that a place outside does not have yet; what fails waits for the next.

    Failures are logged without the address, which may hold a token. Returns what `sign_and_send`
    does.
    """
    sent = {}
    if path := settings.CHAINWEB_CHECKPOINT_FILE:
        sent["file"] = _send("filed_at", lambda lines: outlets.append_to_file(Path(path), lines))
    if address := settings.CHAINWEB_CHECKPOINT_WEBHOOK:
        sent["webhook"] = _send("posted_at", lambda lines: outlets.post_lines(address, lines))
    return sent


def has_unsent() -> bool:
    """Tell whether a place outside does not have all tombstones and checkpoints yet."""
    return any(
        rows.filter(**{column: None}).exists()
        for column, place in _PLACES.items()
        if getattr(settings, place)
        for rows in (Checkpoint.objects.all(), Tombstone.objects.all())
    )


_PLACES = {
    "filed_at": "CHAINWEB_CHECKPOINT_FILE",
    "posted_at": "CHAINWEB_CHECKPOINT_WEBHOOK",
}


def _send(column: str, send: Callable[[list[str]], None]) -> bool:
    """Send what has no time in that column, tombstones first; tell whether all went."""
    buried = _send_all(Tombstone.objects.all(), column, send)
    return buried and _send_all(Checkpoint.objects.all(), column, send)


def _send_all(
    rows: QuerySet[Tombstone] | QuerySet[Checkpoint],
    column: str,
    send: Callable[[list[str]], None],
) -> bool:
    while True:
        unsent = rows.filter(**{column: None}).order_by("pk")
        texts = dict(unsent.values_list("pk", "text")[:AT_ONCE])
        if not texts:
            return True
        try:
            send(list(texts.values()))
        except OSError as error:
            log.error(
                "checkpoints are not sent outside; the next run sends them",
                where="file" if column == "filed_at" else "webhook",
                error=type(error).__name__,
                reason=str(error) if isinstance(error, outlets.NotTaken) else error.strerror,
            )
            return False
        rows.filter(pk__in=texts).update(**{column: database_now()})


def latest(team_id: object) -> Signed | None:
    """Return the team's newest checkpoint, for “verified up to …”; None where there is none.

    One whose signature does not hold under `CHAINWEB_CHECKPOINT_PUBLIC_KEY` is none.
    """
    newest = _newest(str(team_id))
    if newest and settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY:
        with suppress(CheckpointError):
            return checkpoints.read(newest.text, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY)
    return None
