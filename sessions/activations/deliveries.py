"""Begin deliveries, renew what endpoints fetch, and end them with what was issued for them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from sessions.activations.cleanup import erase_all_unneeded
from sessions.chains import scoping
from sessions.credentials import bulk_write
from sessions.credentials.timing import compressed
from sessions.db.clock import database_now
from sessions.locks import parts
from sessions.locks.busy_teams import busy_teams, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import Activation, Channel, Credential, Delivery, Scope, TeamPolicy, Token

# A snippet is read on a page within so long of its being asked for, or not at all.
SNIPPET_WAITS = compressed(minutes=3)
TRIAL_WAITS = compressed(minutes=10)
# An endpoint that nobody has fetched from for so long is not prepared any more: the next who does
# waits a moment.
UNUSED_AFTER = compressed(days=2)
# How fresh `fetched_at` is kept: a fetch is a read, but for the first of an hour.
NOTED_EVERY = compressed(hours=1)
# With one leaf, at most so many endpoints are begun that have not been fetched from yet.
MOST_BEGUN = 20


def begin_delivery(
    activation: Activation,
    channel: Channel,
    policy: TeamPolicy,
    now: datetime,
    *,
    token: Token | None = None,
    leaf: Credential | None = None,
    seconds: int = 0,
    asked: bool = True,
) -> Delivery:
    """Store a delivery and have its child issued; the caller wakes a worker on commit.

    Under the team's lock. `leaf`: another than the activation's, for a trial. `seconds`: how long
    the child may live at most, 0: as long as the leaf. A token's endpoint that is there already is
    made current instead.
    """
    if channel == Channel.ENDPOINT:
        there = Delivery.objects.select_related("activation__session__link", "credential", "token")
        found = there.filter(activation=activation, token=token, channel=channel).first()
        if found is not None:
            renew([found], policy, now, asked=asked)
            return found
    delivery = Delivery(
        id=uuid4(),
        team_id=policy.team_id,
        activation=activation,
        token=token,
        channel=channel,
        made_at=now,
        ends_at=_end_of(activation, channel, now),
    )
    child = _child(delivery, leaf or activation.credential, policy, seconds)
    bulk_write.add([child])
    delivery.credential = child
    delivery.save(force_insert=True)
    scoping.due([child], now, asked=asked)
    return delivery


def _end_of(activation: Activation, channel: Channel, now: datetime) -> datetime:
    match channel:
        case Channel.ENDPOINT:
            return activation.ends_at
        case Channel.TRIAL:
            return now + TRIAL_WAITS
        case _:
            return min(now + SNIPPET_WAITS, activation.ends_at)


def _child(
    delivery: Delivery, leaf: Credential, policy: TeamPolicy, seconds: int = 0
) -> Credential:
    activation, token = delivery.activation, delivery.token
    asked = scoping.request_for(
        delivery.pk,
        leaf,
        activation.session,
        policy,
        person=activation.user.aws_name,
        device=device_of(token) or delivery.channel,
        seconds=seconds,
    )
    return scoping.child_of(leaf, asked)


def device_of(token: Token | None) -> str:
    """Name the device that a token is on, as its person does; empty for a page."""
    return (token.device or token.name) if token is not None else ""


def renew(
    deliveries: Sequence[Delivery], policy: TeamPolicy, now: datetime, *, asked: bool
) -> None:
    """Have the children of endpoints issued again, of the leaves that their activations have now.

    Under the team's lock. A child that is of the same leaf, and narrowed as before, is served until
    the next one is there.
    """
    left, wanted = [], []
    for delivery in deliveries:
        activation, child = delivery.activation, delivery.credential
        settings = activation.session.link.settings
        if not scoping.is_current(child, activation.credential_id, settings, policy):
            left.append(child.pk)
            child = _child(delivery, activation.credential, policy)
            bulk_write.add([child])
            delivery.credential = child
        delivery.ends_at = activation.ends_at
        wanted.append(child)
    Delivery.objects.bulk_update(deliveries, ["credential", "ends_at"])
    scoping.due(wanted, now, asked=asked)
    if left:
        erase_all_unneeded(left)


def renew_below(leaves: Collection[str], asked: Collection[str], now: datetime) -> None:
    """Have endpoints get a child of each of these leaves, which were just issued.

    Under the locks of their teams. `asked`: the leaves that a person waited for. Those that nobody
    has fetched from for long are given up; for tokens that are good for that session alone, or few,
    one is begun before the first fetch.
    """
    policies = TeamPolicy.objects.exclude(scoping="off").filter(
        team__in=Credential.objects.filter(pk__any_of=leaves).values("team")
    )
    for policy in policies.select_related("team"):
        started = Activation.objects.filter(
            credential_id__any_of=leaves, credential__team=policy.team_id, session__deletion=None
        ).select_related("session__link", "session__team", "user", "credential")
        activations = [
            each
            for each in started.exclude(session__link=None)
            if scoping.delivers_scoped(each.session.link.settings, policy)
        ]
        _renew_endpoints(activations, policy, asked, now)
        _begin_for_bound_tokens(activations, policy, asked, now)


def _renew_endpoints(
    activations: Sequence[Activation], policy: TeamPolicy, asked: Collection[str], now: datetime
) -> None:
    of = {each.pk: each for each in activations}
    endpoints = Delivery.objects.filter(activation_id__any_of=list(of), channel=Channel.ENDPOINT)
    used = Coalesce(F("fetched_at"), F("made_at"))
    end_deliveries(endpoints.annotate(used=used).filter(used__lt=now - UNUSED_AFTER))
    for is_asked in (True, False):
        some = []
        for delivery in endpoints.select_related("credential", "token"):
            delivery.activation = of[delivery.activation_id]
            if (delivery.activation.credential_id in asked) == is_asked:
                some.append(delivery)
        if some:
            renew(some, policy, now, asked=is_asked)


def _begin_for_bound_tokens(
    activations: Sequence[Activation], policy: TeamPolicy, asked: Collection[str], now: datetime
) -> None:
    bound = Token.sessions.through.objects.filter(
        awssession_id__any_of=[each.session_id for each in activations],
        token__user__in=[each.user_id for each in activations],
        token__team=policy.team_id,
        token__is_bound=True,
        token__revoked_at=None,
        token__expires_at__gt=now,
    )
    of = {(each.session_id, each.user_id): each for each in activations}
    begun = 0
    for each in bound.select_related("token"):
        activation = of.get((each.awssession_id, each.token.user_id))
        if activation is None or Scope.CREDENTIALS not in each.token.scopes:
            continue
        if activation.deliveries.filter(token=each.token).exists() or begun >= MOST_BEGUN:
            continue
        is_asked = activation.credential_id in asked
        begin_delivery(activation, Channel.ENDPOINT, policy, now, token=each.token, asked=is_asked)
        begun += 1


def note_fetch(delivery: Delivery, now: datetime) -> None:
    """Note that an endpoint is in use, at most once in a while. Outside of any transaction."""
    if delivery.fetched_at is None or delivery.fetched_at < now - NOTED_EVERY:
        Delivery.objects.filter(pk=delivery.pk).update(fetched_at=now)


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
