"""Invite people into a team: an admin's invitation is good once, for a while."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from sessions import ledger
from sessions.actors import Actor, AnyActor, NamedActor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.people import (
    InvitationAccepted,
    InvitationCreated,
    InvitationRevoked,
)
from sessions.locks.team_lock import begin, lock_team, lock_team_for
from sessions.models import Invitation, Membership, Role, User
from sessions.people.people import add_member
from sessions.people.removals import removal_after
from sessions.permissions import Action, with_fresh_groups
from sessions.secret import Secret

INVITATION_DAYS = 7
GONE = "This invitation was used, withdrawn or has expired. Ask for a new one."


def digest_of(code: Secret) -> str:
    """Hash a code; of 256 random bits a plain SHA-256 is enough."""
    return hashlib.sha256(code.reveal().encode()).hexdigest()


@ledger.committed()
def invite(
    actor: Actor, role: Role, note: str = "", days: int = INVITATION_DAYS
) -> tuple[Invitation, Secret]:
    """Create an invitation to the admin's team and return its code, which exists only there.

    Raises `Refused` if they have lost the right to invite by now: who loses it leaves no way in
    behind.
    """
    actor = begin(actor, Action.MANAGE_PEOPLE)
    code = Secret(secrets.token_urlsafe(32))
    invitation = Invitation.objects.create(
        team=actor.team,
        role=role,
        note=note,
        digest=digest_of(code),
        invited_by=actor.username,
        expires_at=database_now() + timedelta(days=days),
    )
    created = InvitationCreated(
        invitation_id=str(invitation.pk), role=role, note=note, expires_at=invitation.expires_at
    )
    ledger.append(actor.team_id, [Entry(created, actor)])
    return invitation, code


def _open_now() -> QuerySet[Invitation]:
    """Select the invitations that let somebody in now.

    One by somebody whose groups are too old waits until they are read again: who has left the
    company would come back by their own invitation, as somebody whom no group governs.
    """
    inviters = Membership.objects.filter(
        team=OuterRef("team"), user__username=OuterRef("invited_by")
    )
    open_ones = Invitation.objects.filter(ended_at=None, expires_at__gt=database_now())
    return open_ones.exclude(Exists(inviters.exclude(with_fresh_groups()))).select_related("team")


def invitation_by_code(code: Secret) -> Invitation | None:
    """Return the open invitation with that code.

    None for one that never was, is used, withdrawn or expired.
    """
    return _open_now().filter(digest=digest_of(code)).first()


def open_invitation(invitation_id: str) -> Invitation | None:
    """Return an open invitation by its id, for a browser that has shown the code."""
    return _open_now().filter(pk=invitation_id).first()


@transaction.atomic
def accept_invitation(invitation: Invitation, user: User) -> Membership:
    """Make a person a member by an invitation, which is used up by it. Raises `Refused`."""
    lock_team(invitation.team_id)
    if not User.objects.filter(pk=user.pk, is_active=True).exists():
        raise Refused("", "Your account is disabled.")
    if Membership.objects.filter(team=invitation.team_id, user=user).exists():
        raise Refused("", "You are already in that team. Only an admin can change your role.")
    if removal_after(invitation.team, user, invitation.created_at):
        raise Refused(
            "",
            "You were removed from this team after the invitation was created. Ask an admin for a"
            " new one.",
        )
    newcomer, now = NamedActor(user.get_username()), database_now()
    used = _open_now().filter(pk=invitation.pk).select_related(None)
    if not used.update(ended_at=now, accepted_by=newcomer.username):
        raise Refused("", GONE)
    accepted = InvitationAccepted(
        invitation_id=str(invitation.pk), invited_by=invitation.invited_by, role=invitation.role
    )
    ledger.append(invitation.team_id, [Entry(accepted, newcomer)])
    return add_member(invitation.team, user, Role(invitation.role), newcomer)


@transaction.atomic(durable=True)
def revoke_invitation(invitation: Invitation, actor: AnyActor) -> bool:
    """Withdraw an invitation. False if it had ended before."""
    lock_team_for(actor, invitation.team_id, Action.MANAGE_PEOPLE)
    if not Invitation.objects.filter(pk=invitation.pk, ended_at=None).update(
        ended_at=database_now()
    ):
        return False
    revoked = InvitationRevoked(invitation_id=str(invitation.pk), role=invitation.role)
    ledger.append(invitation.team_id, [Entry(revoked, actor)])
    return True
