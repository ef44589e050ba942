"""Write down when a token was last used, and from where: at most once a minute.

Whoever is answered waits for none of it: where the row or the database is held, the use is written
with the next one.
"""

from contextlib import nullcontext
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models import Q

from sessions.db.limits import bounded, is_busy
from sessions.models import Token

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
# A token that somebody tries from elsewhere gets no more lines in the ledger than this.
REFUSALS_EVERY = timedelta(minutes=10)
LONGEST_ADDRESS, LONGEST_CLIENT = 45, 200


def note_use(
    token_id: UUID, used_before: datetime | None, at: datetime, *, address: str, client: str
) -> None:
    """Store that a token is used now; `used_before` is what its row said of its last use."""
    if used_before is not None and at - used_before < EVERY:
        return
    _write(
        token_id,
        Q(last_used_at=None) | Q(last_used_at__lte=at - EVERY),
        last_used_at=at,
        last_used_address=address[:LONGEST_ADDRESS],
        last_used_client=client[:LONGEST_CLIENT],
    )


def note_refusal(token: Token, at: datetime, *, address: str) -> bool:
    """Store that a token came from outside its networks; tell whether that is worth a line."""
    if token.refused_at is not None and at - token.refused_at < REFUSALS_EVERY:
        return False
    return _write(
        token.pk,
        Q(refused_at=None) | Q(refused_at__lte=at - REFUSALS_EVERY),
        refused_at=at,
        refused_address=address[:LONGEST_ADDRESS],
    )


def _write(token_id: UUID, unless: Q, **columns: object) -> bool:
    """Change a token's row unless somebody holds it; tell whether it was changed."""
    rows = Token.objects.filter(unless, pk=token_id)
    is_postgresql = connection.vendor == "postgresql"
    try:
        with nullcontext() if is_postgresql else bounded(connection, 0), transaction.atomic():
            if is_postgresql:
                free = rows.select_for_update(skip_locked=True, no_key=True)
                rows = Token.objects.filter(pk__in=list(free.values_list("pk", flat=True)))
            return rows.update(**columns) > 0
    except OperationalError as error:
        if not is_busy(error) or connection.in_atomic_block:
            raise
        log.info("a token's use is written with its next one: the database is held")
        return False
