"""Count failed logins, and tell the ledger of them without being flooded.

A failure changes one row, whether the name is anybody's or not: the answer takes as long for both,
and nobody who is not logged in reaches a ledger's head. Workers tell a person's teams of the first
failure at their next tick, and of all others once an hour. A login that succeeds tells of those
before it first.

No team has a name that is nobody's, and what was typed as a name may be a password: such failures
are only counted, in the log, by their addresses.
"""

import hashlib
from datetime import timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q

from sessions.actors import WORKER
from sessions.db.clock import database_now
from sessions.db.row_locks import lock_first
from sessions.ledger import origin
from sessions.ledger.events.accounts import LogInFailed
from sessions.models import FailedLogIns, User
from sessions.people.own_account import record, teams_of

log = structlog.get_logger(__name__)

PASSWORD, CODE, PASSKEY = "password", "one-time code", "passkey"
PROVIDER, DISABLED = "identity provider", "account disabled"
QUIET = timedelta(hours=1)
MOST_ADDRESSES = 8
TOLD_AT_ONCE = 100
# Unknown names share so many rows: as few as can be without waiting for each other.
ROWS_OF_UNKNOWN = 64


def count_failure(what: str, *, user: User | None = None, name: str = "") -> None:
    """Count a failed login under a person's name; `name` is what was typed, and is not kept."""
    key = f"{user.pk} {what}" if user else f"unknown {_bucket(name)} {what}"
    with transaction.atomic():
        row = _locked(key)
        if row is None:
            try:
                with transaction.atomic():
                    FailedLogIns.objects.create(key=key, user=user, what=what)
            except IntegrityError:  # somebody else did meanwhile
                pass
            row = _locked(key)
            assert row is not None
        now = database_now()
        row.times += 1
        row.first_at = row.first_at or now
        row.last_at = now
        address = origin.current().address
        if address and address not in row.addresses and len(row.addresses) < MOST_ADDRESSES:
            row.addresses.append(address)
        row.save(update_fields=["times", "first_at", "last_at", "addresses"])


def _bucket(name: str) -> int:
    return hashlib.sha256(name.lower().encode()).digest()[0] % ROWS_OF_UNKNOWN


def _locked(key: str) -> FailedLogIns | None:
    return lock_first(FailedLogIns.objects.filter(key=key))


def tell_of_failures() -> None:
    """Tell of what is due (in a worker).

    Rows stay when they are told of: to make one takes longer, and would tell a name that is
    somebody's.
    """
    now = database_now()
    due = FailedLogIns.objects.filter(Q(told_at=None) | Q(told_at__lte=now - QUIET), times__gt=0)
    for key in list(due.order_by("first_at").values_list("key", flat=True)[:TOLD_AT_ONCE]):
        _tell(key)


def tell_of_failures_of(user: User) -> None:
    """Tell a person's teams of all failures under their name, as before they log in."""
    waiting = FailedLogIns.objects.filter(user=user, times__gt=0).order_by("key")
    for key in list(waiting.values_list("key", flat=True)):
        _tell(key)


@transaction.atomic
def _tell(key: str) -> None:
    row = _locked(key)
    if row is None or not row.times:
        return
    if row.user is not None and teams_of(row.user):
        told = LogInFailed(
            people=(row.user.get_username(),),
            what=row.what,
            times=row.times,
            since=row.first_at,
            until=row.last_at,
            addresses=tuple(row.addresses),
        )
        with origin.asked_from(origin.Origin):  # whose login tells of it is not who failed
            record(row.user, told, actor=WORKER)
    else:
        log.warning(
            "logins failed under names of no team",
            what=row.what,
            times=row.times,
            addresses=row.addresses,
        )
    row.times, row.addresses, row.first_at, row.last_at = 0, [], None, None
    row.told_at = database_now()
    row.save()
