"""Tell how far a team's ledger is signed, as its newest checkpoint says."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from sessions.ledger.checkpoints import read
from sessions.ledger.removed import removed_of
from sessions.ledger.signed_lines import CheckpointError
from sessions.models import Checkpoint, Event


@dataclass(frozen=True)
class Standing:
    """Hold what the newest checkpoint says of line `seq`, and what is wrong with it.

    `problem` is empty where its signature holds and the line is still the one that was signed. The
    lines before are what `manage.py verify_ledger` walks.
    """

    seq: int
    at: datetime
    problem: str = ""


def standing_of(team_id: object) -> Standing | None:
    """Check the newest checkpoint of a team; None where none was signed, or no key is set."""
    public_keys = settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY
    newest = Checkpoint.objects.filter(team_id=str(team_id)).order_by("-seq", "-pk").first()
    if newest is None or not public_keys:
        return None
    try:
        signed = read(newest.text, public_keys)
    except CheckpointError as error:
        return Standing(newest.seq, newest.at, f"The checkpoint of event {newest.seq}: {error}")
    line = Event.objects.filter(team_id=str(team_id), seq=signed.seq)
    removed = removed_of(team_id)
    if removed and signed.seq <= removed.seq:
        return Standing(signed.seq, signed.at)
    if signed.seq and line.values_list("hash", flat=True).first() != signed.head:
        return Standing(signed.seq, signed.at, f"Event {signed.seq} is not what was signed")
    return Standing(signed.seq, signed.at)
