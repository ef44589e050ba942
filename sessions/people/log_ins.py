"""End logins, tokens and an unverified address with a new password or a suspension, for good.

An address that somebody else has asked for in the person's name is verified by a link in a mail
that goes to them: it would outlast the login that they had no right to, and reset the new
password.
"""

from typing import Any

from allauth.account.models import EmailAddress
from django.db.models import F, Q, QuerySet
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from sessions import ledger
from sessions.actors import OPERATOR, AnyActor, NamedActor
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.accounts import PasswordChanged
from sessions.ledger.events.tokens import TokenRevoked
from sessions.locks.team_lock import lock_team
from sessions.models import Team, Token, User

BY_OPERATOR = "by the operator"
PASSWORD_CHANGED = "password changed"  # noqa: S105  (a reason, in the ledger)
SUSPENDED = "suspended"


def end_log_ins(user: User) -> None:
    """End every login that a person has anywhere; none comes back when they are let in again."""
    User.objects.filter(pk=user.pk).update(log_ins_ended=F("log_ins_ended") + 1)
    _forget_awaited_address(user)


def _forget_awaited_address(user: User) -> None:
    """Void the link sent to a new address. The address in use stays, verified or not."""
    in_use = User.objects.filter(pk=user.pk).values_list("email", flat=True).get()
    EmailAddress.objects.filter(user=user, verified=False).exclude(email__iexact=in_use).delete()


def revoke_tokens(
    team: Team, user: User, actor: AnyActor, *, reason: str | None = None
) -> list[Entry]:
    """Revoke all of a person's tokens in a team.

    The caller holds the team, and writes the events.
    """
    now = database_now()
    tokens = list(Token.objects.filter(team=team, user=user, revoked_at=None, expires_at__gt=now))
    Token.objects.filter(pk__any_of=[token.pk for token in tokens]).update(revoked_at=now)
    return [Entry(told_of_end(token, user, reason), actor) for token in tokens]


def told_of_end(token: Token, owner: User, reason: str | None = None) -> TokenRevoked:
    """Return what tells of a token's end, and of what it was good for until then."""
    was = {"scopes": token.scopes, "expires_at": token.expires_at}
    return TokenRevoked(
        owner=owner.get_username(),
        name=token.name,
        token_id=str(token.pk),
        reason=reason,
        before=was,
    )


def _has_new_password(user: User) -> bool:
    # What Django itself goes by; a hash that is only made stronger at a login is no new password.
    return not user._state.adding and user._password is not None  # type: ignore[attr-defined]


def _teams_of(user: User) -> QuerySet[Team]:
    """Select the teams where a person has tokens, or could make some."""
    return (
        Team.objects.filter(Q(memberships__user=user) | Q(tokens__user=user))
        .distinct()
        .order_by("pk")
    )


@receiver(pre_save, sender=User)
def hold_teams_first(instance: User, **kwargs: Any) -> None:
    """Lock a person's teams before the person, as every change of rights does."""
    if _has_new_password(instance):
        for team_id in list(_teams_of(instance).values_list("pk", flat=True)):
            lock_team(team_id)


@receiver(post_save, sender=User)
def end_what_the_old_password_opened(instance: User, **kwargs: Any) -> None:
    """Revoke a person's tokens with every new password, by page, mail or command.

    Other logins end by themselves: Django compares a mark of the password at each request. A
    delivery to one of them is complete before, or does not happen: both hold the ledger's head.
    """
    if _has_new_password(instance):
        _forget_awaited_address(instance)
        name, how = instance.get_username(), instance.new_password_by
        actor = NamedActor(name) if how else OPERATOR
        told = PasswordChanged(member=name, how=how or BY_OPERATOR)
        for team in _teams_of(instance):
            ledger.hold(team.pk)
            revoked = revoke_tokens(team, instance, actor, reason=PASSWORD_CHANGED)
            ledger.append(team.pk, [Entry(told, actor), *revoked])
