"""Make bearer tokens: shown once, good for what their owner may do at that moment."""

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction

from sessions import ledger
from sessions.actors import Actor, AnyActor
from sessions.db.clock import Now, database_now
from sessions.exceptions import NotThere, RightLost
from sessions.ledger import Entry
from sessions.ledger.events.people import TokenCreated
from sessions.locks.team_lock import actor_again, lock_team, lock_team_for
from sessions.models import AwsSession, Membership, Scope, Token, token_text
from sessions.people.log_ins import told_of_end
from sessions.permissions import Action, memberships_of, require_fresh_groups
from sessions.secret import Secret

TOKEN_DAYS = 90
LONGEST_TOKEN_DAYS = 3650


@ledger.committed()
def create_token(
    member: Membership,
    name: str,
    actor: AnyActor,
    days: int = TOKEN_DAYS,
    scopes: Collection[Scope] = tuple(Scope),
    sessions: Collection[AwsSession] = (),
) -> Secret:
    """Create a token for a member and return its text, which exists only there.

    `sessions`: good for these alone.

    Raises `Refused` if the member has been removed, or has become something else, since the caller
    has read them.
    """
    lock_team(member.team.pk)
    fresh, _ = actor_again(Actor(member))
    if fresh.member.role != member.role:
        raise RightLost("", f"The role of {member.user.get_username()} in this team has changed.")
    there = set(
        AwsSession.objects.filter(pk__any_of=[each.pk for each in sessions], team=member.team_id)
    )
    for session in sessions:
        if session not in there:
            raise NotThere("session", f"“{session.alias}” was deleted meanwhile.")
    secret = token_text.new_text(token_text.PERSON)
    expires_at = database_now() + timedelta(days=days)
    token = Token.objects.create(
        team=member.team,
        user=member.user,
        name=name,
        digest=Token.digest_of(secret),
        expires_at=expires_at,
        scopes=sorted(str(scope) for scope in scopes),
        is_bound=bool(sessions),
    )
    token.sessions.set(there)
    created = TokenCreated(
        owner=member.user.get_username(),
        name=name,
        token_id=str(token.pk),
        scopes=tuple(token.scopes),
        expires_at=expires_at,
        sessions=tuple(sorted(session.alias for session in there)) if len(there) > 1 else (),
    )
    subject = next(iter(there)) if len(there) == 1 else None
    ledger.append(member.team.pk, [Entry(created, actor, subject)])
    return secret


@transaction.atomic(durable=True)
def revoke_token(token: Token, actor: AnyActor) -> bool:
    """Revoke a token. False if it was revoked before."""
    is_own = isinstance(actor, Actor) and actor.user_id == token.user_id
    lock_team_for(actor, token.team_id, Action.HOLD_TOKENS if is_own else Action.MANAGE_PEOPLE)
    if not Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=database_now()):
        return False
    ledger.append(token.team_id, [Entry(told_of_end(token, token.user), actor)])
    return True


def actor_of_token(secret: Secret) -> Actor | None:
    """Return who acts by that token, with the rights of this moment.

    None for unknown, expired, revoked, removed, disabled.

    Raises `GroupsTooOld` for a person whose groups have to be read again first.
    """
    tokens = Token.objects.select_related("user").annotate(read_at=Now())
    token = tokens.filter(digest=Token.digest_of(secret)).first()
    if token is None or not token.is_valid(token.read_at):
        return None
    member = memberships_of(token.user).filter(team=token.team_id).first()
    if member is None:
        require_fresh_groups(token.user, team=token.team_id)
        return None
    return Actor(member, token)
