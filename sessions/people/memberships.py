"""Change what a member may do: effect and event are in the same transaction.

Whoever loses a right loses what rested on it: their activations end, their probes go, and a worker
that is minting for them finds its row gone. Links that they answered for pass to the admin who
acts, if there is one.
"""

from collections.abc import Callable
from functools import partial

from allauth.mfa.models import Authenticator
from django.db import transaction

from sessions import ledger
from sessions.activations.revocation import end_unauthorized
from sessions.actors import AnyActor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.people import (
    InvitationRevoked,
    MemberFactorsRemoved,
    MemberLost,
    MemberReinstated,
    MemberRemoved,
    MemberRoleChanged,
    MemberSuspended,
)
from sessions.locks.team_lock import lock_team, lock_team_for
from sessions.locks.versions import expect
from sessions.models import (
    Approval,
    AssumerLink,
    AwsSession,
    Invitation,
    Membership,
    Robot,
    Role,
    Team,
    User,
)
from sessions.people.log_ins import SUSPENDED, end_log_ins, revoke_tokens
from sessions.people.removals import remember_removal
from sessions.permissions import Action, orphaned_links, with_fresh_groups, working_members

LAST_ADMIN = "A team cannot be left without an admin. Make another person an admin first."


def _hand_over(team: Team, user: User, successor: User | None) -> list[str]:
    """Make the successor author of links the user may not answer for; return their aliases."""
    if successor is None or successor.pk == user.pk:
        return []
    theirs = AssumerLink.objects.filter(session__team=team, author=user).values("pk")
    links = AssumerLink.objects.filter(
        pk__any_of=orphaned_links([team.pk], among=theirs), author=user
    )
    aliases = sorted(links.values_list("session__alias", flat=True))
    links.update(author=successor)
    return aliases


def _withdraw_invitations(team: Team, user: User, actor: AnyActor) -> list[Entry]:
    """Withdraw the invitations of a member who may not invite any more."""
    now = database_now()
    open_ones = Invitation.objects.filter(team=team, invited_by=user.get_username(), ended_at=None)
    entries = [
        Entry(InvitationRevoked(invitation_id=str(each.pk), role=each.role), actor)
        for each in open_ones.filter(expires_at__gt=now)
    ]
    open_ones.update(ended_at=now)
    return entries


def _guard_last_admin(member: Membership) -> None:
    admins = working_members(team=member.team_id, role=Role.ADMIN)
    others = admins.filter(with_fresh_groups()).exclude(pk=member.pk)
    if member.role == Role.ADMIN and not others.exists():
        raise Refused("", LAST_ADMIN)


def _locked(
    member: Membership, actor: AnyActor, *, by_groups: bool = False
) -> tuple[Team, Membership | None]:
    """Hold the team's row and read the member again.

    `by_groups`: None as well if groups do not govern them any more.
    """
    team = lock_team_for(actor, member.team_id, Action.MANAGE_PEOPLE)
    if Robot.objects.filter(user=member.user_id).exists():
        raise Refused("", "This is a robot of the team: change or remove it among the robots.")
    there = Membership.objects.select_related("user", "team").filter(pk=member.pk)
    return team, (there.filter(from_sso=True) if by_groups else there).first()


@transaction.atomic(durable=True)
def change_role(
    member: Membership,
    role: Role,
    actor: AnyActor,
    successor: User | None = None,
    *,
    by_groups: bool = False,
    seen: int | None = None,
) -> None:
    """Change a member's role in the team.

    Raises `Refused` for its last admin, `Changed` if they are not as `seen`.

    `by_groups`: the provider says so, which counts for the last admin as well, and for nobody whom
    groups do not govern.
    """
    team, fresh = _locked(member, actor, by_groups=by_groups)
    if fresh is None or fresh.role == role:
        return
    expect(fresh.version, seen)
    if role != Role.ADMIN and not by_groups:
        _guard_last_admin(fresh)
    before, fresh.role = fresh.role, role
    fresh.version += 1
    fresh.save(update_fields=["role", "version"])
    entries: list[Entry] = []
    if role == Role.AUDITOR:
        entries += revoke_tokens(team, fresh.user, actor)
    if role != Role.ADMIN:
        entries += _withdraw_invitations(team, fresh.user, actor)
    told = partial(MemberRoleChanged, role=role, before=before)
    after_loss(team, fresh, told, actor, successor, entries)


@transaction.atomic(durable=True)
def disable_member(member: Membership, actor: AnyActor, successor: User | None = None) -> None:
    """Suspend a member in the team.

    Their tokens there and all their logins end, and do not come back with them.
    """
    team, fresh = _locked(member, actor)
    if fresh is None or fresh.disabled_at:
        return
    _guard_last_admin(fresh)
    fresh.disabled_at = database_now()
    fresh.version += 1
    fresh.save(update_fields=["disabled_at", "version"])
    end_log_ins(fresh.user)
    entries = revoke_tokens(team, fresh.user, actor, reason=SUSPENDED)
    entries += _withdraw_invitations(team, fresh.user, actor)
    after_loss(team, fresh, MemberSuspended, actor, successor, entries)


@transaction.atomic(durable=True)
def enable_member(member: Membership, actor: AnyActor) -> None:
    team, fresh = _locked(member, actor)
    if fresh is None or not fresh.disabled_at:
        return
    fresh.disabled_at = None
    fresh.version += 1
    fresh.save(update_fields=["disabled_at", "version"])
    reinstated = MemberReinstated(member=fresh.user.get_username())
    ledger.append(team.pk, [Entry(reinstated, actor)])


@transaction.atomic(durable=True)
def remove_member(
    member: Membership,
    actor: AnyActor,
    successor: User | None = None,
    *,
    by_groups: bool = False,
) -> None:
    """Remove a person from a team.

    Activations end, tokens are revoked, the next request finds no member.

    Their sessions stay; for the assumers of these the successor answers. Raises `Refused` for the
    last admin. It lasts until an admin lets them in again, whatever groups say; not so `by_groups`,
    which leaves in whom they do not govern, and whoever is suspended: ended and added again, they
    would not be.
    """
    team, fresh = _locked(member, actor, by_groups=by_groups)
    if fresh is None or (by_groups and fresh.disabled_at):
        return
    if not by_groups:
        _guard_last_admin(fresh)
    entries = revoke_tokens(team, fresh.user, actor)
    entries += _withdraw_invitations(team, fresh.user, actor)
    if not by_groups:
        remember_removal(team, fresh.user, actor)
    fresh.delete()
    told = partial(MemberRemoved, before={"role": fresh.role})
    after_loss(team, fresh, told, actor, successor, entries)


def after_loss(
    team: Team,
    member: Membership,
    kind: Callable[..., MemberLost],
    actor: AnyActor,
    successor: User | None,
    entries: list[Entry],
) -> None:
    """End what a member has lost the right to, and write the events.

    The successor answers for their chains, and for their robots.
    """
    handed_over = _hand_over(team, member.user, successor)
    if successor is not None and not working_members(pk=member.pk).exists():
        Robot.objects.filter(team=team, owner=member.user).update(owner=successor)
    told = kind(
        member=member.user.get_username(),
        person_id=member.user_id,
        aws_name=member.user.aws_name,
        sessions_handed_over=tuple(handed_over) or None,
        to=successor.get_username() if handed_over and successor is not None else None,
    )
    ended = end_unauthorized(team, actor, people=[member.user_id])
    if not working_members(pk=member.pk).exists():
        Approval.objects.filter(team=team, user=member.user).delete()
    ledger.append(team.pk, [Entry(told, actor), *entries, *ended])


@transaction.atomic(durable=True)
def set_person_active(user: User, active: bool, actor: AnyActor) -> None:
    """Switch by the operator whether a person can log in at all.

    Off ends what they have running in every team, their invitations, tokens and logins; on brings
    none of it back.
    """
    memberships = Membership.objects.filter(user=user).select_related("team")
    teams = [lock_team(each.team_id) for each in memberships.order_by("team_id")]
    User.objects.filter(pk=user.pk).update(is_active=active)
    kind = MemberReinstated if active else MemberSuspended
    told = kind(member=user.get_username(), person_id=user.pk)
    if not active:
        end_log_ins(user)
    for team in teams:
        entries = [Entry(told, actor)]
        if not active:
            entries += revoke_tokens(team, user, actor, reason=SUSPENDED)
            entries += _withdraw_invitations(team, user, actor)
        ledger.append(team.pk, [*entries, *end_unauthorized(team, actor, people=[user.pk])])


@transaction.atomic(durable=True)
def remove_second_factors(user: User, actor: AnyActor) -> None:
    """Remove the second factors of a person who has lost theirs.

    Authenticator, passkeys and recovery codes; the operator does it.
    """
    removed = sorted(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    Authenticator.objects.filter(user=user).delete()
    told = MemberFactorsRemoved(member=user.get_username(), removed=tuple(removed))
    for team_id in (
        Membership.objects.filter(user=user).order_by("team_id").values_list("team_id", flat=True)
    ):
        ledger.append(team_id, [Entry(told, actor)])


def orphaned_sessions(team: Team) -> list[AwsSession]:
    """List the sessions without an owner.

    An admin takes them over or deletes them.
    """
    return list(AwsSession.objects.filter(pk__any_of=orphaned_links([team.pk])).order_by("alias"))
