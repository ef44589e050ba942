"""End deliveries, and erase the scoped credentials that were issued for them."""

from django.db import transaction
from django.db.models import Q, QuerySet

from sessions.activations.cleanup import erase_all_unneeded
from sessions.db.clock import database_now
from sessions.locks import parts
from sessions.locks.busy_teams import busy_teams, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import Delivery


def end_deliveries(deliveries: QuerySet[Delivery]) -> int:
    """End these deliveries and erase their credentials; return how many there were.

    Under the team's lock.
    """
    found = dict(deliveries.values_list("pk", "credential_id"))
    if found:
        Delivery.objects.filter(pk__any_of=list(found)).delete()
        erase_all_unneeded(found.values())
    return len(found)


def end_overdue() -> int:
    """End deliveries past their time, and those of tokens that are good no longer.

    Run by the clock.
    """
    now, ended = database_now(), 0
    over = Delivery.objects.filter(
        Q(ends_at__lte=now) | Q(token__revoked_at__isnull=False) | Q(token__expires_at__lte=now)
    )
    held = busy_teams()
    for team_id in set(over.values_list("team_id", flat=True)):
        if str(team_id) in held:
            continue
        with skip_if_busy(team_id), transaction.atomic():
            lock_team(team_id)
            # As many as one round of the clock may hold the lock for.
            some = over.filter(team_id=team_id).order_by("ends_at")[: parts.AT_ONCE]
            ended += end_deliveries(some)
    return ended
