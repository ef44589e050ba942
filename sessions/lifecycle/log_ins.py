"""What ends with a password or a suspension: every log-in but the one at hand, and every token, for good."""

from typing import Any

from django.db.models import F
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from sessions import ledger
from sessions.clock import database_now
from sessions.ledger import Entry
from sessions.models import EventKind, Team, Token, User

PASSWORD_CHANGED = "password changed"  # noqa: S105  (a reason, in the ledger)
SUSPENDED = "suspended"


def end_log_ins(user: User) -> None:
    """End every log-in that a person has anywhere; none comes back when they are let in again."""
    User.objects.filter(pk=user.pk).update(log_ins_ended=F("log_ins_ended") + 1)


def revoke_tokens(team: Team, user: User, actor: str, **why: str) -> list[Entry]:
    """Revoke all of a person's tokens in a team. The caller holds the team, and writes the events."""
    now = database_now()
    tokens = list(Token.objects.filter(team=team, user=user, revoked_at=None, expires_at__gt=now))
    Token.objects.filter(pk__in=[token.pk for token in tokens]).update(revoked_at=now)
    return [
        Entry(
            EventKind.TOKEN_REVOKED,
            actor,
            data={"of": user.get_username(), "name": token.name, "token_id": str(token.pk), **why},
        )
        for token in tokens
    ]


def _has_new_password(user: User) -> bool:
    # What Django itself goes by; a hash that is only made stronger at a log-in is no new password.
    return not user._state.adding and user._password is not None  # type: ignore[attr-defined]


@receiver(pre_save, sender=User)
def hold_teams_first(instance: User, **kwargs: Any) -> None:
    """Lock a person's teams before the person, as every change of rights does."""
    if _has_new_password(instance):
        held = Team.objects.filter(tokens__user=instance).distinct().values("pk")
        list(Team.objects.select_for_update().filter(pk__in=held).order_by("pk"))


@receiver(post_save, sender=User)
def end_what_the_old_password_opened(instance: User, **kwargs: Any) -> None:
    """Revoke a person's tokens with every new password, whoever sets it and by whatever way: page, mail, or command.

    Other log-ins end by themselves: Django compares a mark of the password at each request.
    """
    if _has_new_password(instance):
        for team in Team.objects.filter(tokens__user=instance).distinct().order_by("pk"):
            actor = instance.get_username()
            ledger.append(team.pk, revoke_tokens(team, instance, actor, reason=PASSWORD_CHANGED))
