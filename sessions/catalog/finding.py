"""Find sessions by what a list shows of them; the database finds them, and only those asked for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Lower

from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws import names
from sessions.aws.roots import ROOT_KINDS
from sessions.credentials.timing import LEAST_LIFE, SETTLING
from sessions.models import CHAINED, Activation, AwsSession, Label, SessionLabel
from sessions.models.sessions import kind_choices

# Each word is a condition, and a database takes only so many of them.
MOST_WORDS = 8


@dataclass(frozen=True)
class SessionSearch:
    """Hold what a list of sessions is asked for; empty: any.

    `status` is the actor's own. `q`: every word of it is in a session's alias, profile, region,
    role, role session name, kind or assumer.
    """

    status: str = ""
    kind: str = ""
    account: str = ""
    label: str = ""
    q: str = ""

    def find(self, actor: Actor, now: datetime) -> QuerySet[AwsSession]:
        """Select the sessions that the actor sees and that are asked for, in no order."""
        found = sessions_seen_by(actor)
        if self.kind:
            found = found.filter(kind=self.kind)
        if self.account:
            found = found.filter(_in_account(actor, self.account))
        if self.label:
            found = found.filter(pk__in=_with_label(actor, self.label))
        for word in self.q.split()[:MOST_WORDS]:
            found = found.filter(_says(word))
        if self.status:
            found = found.filter(_has_status(actor, Status(self.status), now))
        return found


def sessions_seen_by(actor: Actor) -> QuerySet[AwsSession]:
    """Select what a list shows an actor: the team's sessions, or those of a bound token."""
    found = AwsSession.objects.filter(team=actor.team_id)
    if actor.limited_to is not None:
        found = found.filter(pk__any_of=list(actor.limited_to))
    return found.select_related("link").defer("sealed_secrets")


def session_by_alias(sessions: QuerySet[AwsSession], alias: str) -> AwsSession | None:
    """Find the session with that alias, in whatever case: it is unique in its team."""
    by_alias = sessions.annotate(lower_alias=Lower("alias"))
    return by_alias.filter(lower_alias=Lower(Value(alias))).first()


def _says(word: str) -> Q:
    kinds = [kind for kind, label in kind_choices() if word.casefold() in str(label).casefold()]
    return (
        Q(alias__icontains=word)
        | Q(profile__icontains=word)
        | Q(region__icontains=word)
        | Q(identity_arn__icontains=word)
        | Q(link__role_arn__icontains=word)
        | Q(link__role_session_name__icontains=word)
        | Q(link__assumer__alias__icontains=word)
        | Q(kind__in=kinds)
    )


def _with_label(actor: Actor, name: str) -> QuerySet[Any, Any]:
    labels = Label.objects.filter(team=actor.team_id).annotate(lower=Lower("name"))
    named = labels.filter(lower=Lower(Value(name))).order_by()
    return SessionLabel.objects.filter(label__in=named.values("pk")).values("session")


def _in_account(actor: Actor, account: str) -> Q:
    """Match the roles of an account, which an index finds, and the roots that call from it."""
    role = Q(pk__in=[])
    for partition in names.regions():
        owner = f"arn:{partition}:iam::{account}"
        # ";" comes after ":".
        role |= Q(
            link__role_arn__role_key__gt=f"{owner}:", link__role_arn__role_key__lt=f"{owner};"
        )
    return role | Q(pk__in=_roots_of(actor, account))


def _roots_of(actor: Actor, account: str) -> list[UUID]:
    """Find roots by who they said they are, or by their settings until a test has told."""
    roots = AwsSession.objects.filter(~Q(kind=CHAINED), team=actor.team_id)
    told = roots.filter(identity_arn__contains=f":{account}:").only("kind", "identity_arn")
    untold = roots.filter(identity_arn="").only("kind", "identity_arn", "settings")
    return [
        each.pk for each in (*told, *untold) if each.kind in ROOT_KINDS and each.account == account
    ]


def _has_status(actor: Actor, status: Status, now: datetime) -> Q:
    """Match what `status.state_of` says of an actor's activation."""
    mine = Activation.objects.filter(
        user=actor.user_id, ends_at__gt=now, credential__team=actor.team_id
    )
    if status is Status.INACTIVE:
        return ~Q(Exists(mine.filter(session=OuterRef("pk"))))
    lives = Q(credential__sealed__isnull=False, credential__expires_at__gt=now)
    # Not settling: see `status._is_settling`.
    settled = (
        Q(credential__expires_at__gt=now + LEAST_LIFE)
        | Q(credential__problem__isnull=False)
        | Q(started_at__lte=now - SETTLING)
        | Q(credential__minted_at__gte=F("started_at"))
    )
    active = mine.filter(lives, settled)
    troubled = mine.filter(credential__problem__isnull=False).exclude(pk__in=active.values("pk"))
    goes_on = troubled.filter(
        Q(credential__problem__retrying=True) | Q(credential__problem__waiting=True)
    )
    failed = troubled.exclude(pk__in=goes_on.values("pk"))
    chosen: dict[Status, QuerySet[Any]] = {
        Status.ACTIVE: active,
        Status.FAILED: failed,
        Status.PENDING: mine.exclude(pk__in=active.values("pk")).exclude(
            pk__in=failed.values("pk")
        ),
    }
    return Q(pk__in=chosen[status].values("session"))
