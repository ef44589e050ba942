"""Tell which lines of a team's ledger were removed, as its last tombstone says."""

from django.conf import settings

from sessions.ledger import tombstones
from sessions.ledger.signed_lines import CheckpointError
from sessions.ledger.tombstones import Removed
from sessions.models import Tombstone


def removed_of(team_id: object) -> Removed | None:
    """Return the last tombstone of a team; None where there is none.

    One whose signature does not hold under `CHAINWEB_CHECKPOINT_PUBLIC_KEY` is none.
    """
    row = Tombstone.objects.filter(team_id=str(team_id)).order_by("-seq").first()
    if row is None:
        return None
    public_keys = settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY
    try:
        found = (
            tombstones.read(row.text, public_keys) if public_keys else tombstones.parse(row.text)
        )
    except CheckpointError:
        return None
    return found if found.team_id == row.team_id else None
