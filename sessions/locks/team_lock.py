"""Lock the team first, then read who may do what: the one order for secrets and rights.

Two locks, always in this order: the row of the team, then the rows of what is changed, and last the
head of the team's ledger (`ledger.append`). A reveal changes no row, so it takes the head alone.
Whatever ends a right writes a line in the same transaction and so holds the head when it commits: a
reveal comes wholly before it, or reads what it has left.

What is read again has to be read in a later statement than the lock: a row that is joined in
`SELECT … FOR UPDATE` is as old as the start of that statement. On SQLite a transaction is begun
IMMEDIATE and is itself the lock.
"""

from datetime import datetime
from uuid import UUID

from sessions.actors import Actor, AnyActor
from sessions.db.clock import Now
from sessions.db.row_locks import lock_first
from sessions.exceptions import ActorGone, NotThere, RightLost
from sessions.locks import parts
from sessions.locks.turnstile import waiting_for
from sessions.models import AwsSession, Team, Token
from sessions.permissions import ROLES, Action, can, memberships_of

GONE = "You are no longer in this team, or your login or token has ended."
LOST = "You are no longer allowed to do that."


def lock_team(team_id: UUID | None) -> Team:
    """Hold the team's row until the transaction ends.

    Plans, links, rights and erasures of one team then go one after another.

    Raises `NotThere` for none, which is the team of a deleted session.
    """
    if team_id is None:
        raise NotThere("", "The session was deleted meanwhile.")
    with waiting_for("team", team_id):
        team = lock_first(Team.objects.filter(pk=team_id))
    if team is None:
        raise NotThere("", "The team was deleted meanwhile.")
    parts.lock_taken()
    return team


def lock_team_for(
    actor: AnyActor, team_id: UUID | None, action: Action, *sessions: AwsSession
) -> Team:
    """Hold the team's row, then make sure that the actor may still do that: see `require_still`."""
    return lock_team_by(actor, team_id, action, *sessions)[0]


def lock_team_by(
    actor: AnyActor, team_id: UUID | None, action: Action, *sessions: AwsSession
) -> tuple[Team, AnyActor]:
    """Lock the team, check that the actor may still act, and return them as read now.

    Who was an admin a moment ago may be none. Raises as `require_still` does.
    """
    team = lock_team(team_id)
    if isinstance(actor, Actor):
        return team, require_actor(actor, action, *sessions)
    return team, actor


def begin(actor: Actor, action: Action, *sessions: AwsSession) -> Actor:
    """Lock the team, then read the actor again.

    They must still be allowed to do it: see `require_still`.
    """
    lock_team(actor.team_id)
    return require_actor(actor, action, *sessions)


def begin_answer(actor: Actor, root: AwsSession) -> None:
    """Hold the team's row; check that the actor may start and the root is still there.

    Which sessions they may start is not asked again: an answer gives its giver nothing, and workers
    look at that themselves.
    """
    lock_team(actor.team_id)
    actor, _ = actor_again(actor)
    if actor.member.role not in ROLES[Action.START]:
        raise RightLost("", LOST)
    if not AwsSession.objects.filter(pk=root.pk, team=actor.team_id).exists():
        raise NotThere("", f"“{root.alias}” was deleted meanwhile.")


def require_still(actor: AnyActor, action: Action, *sessions: AwsSession) -> None:
    """Check under a lock that the actor may do that now, to each of these sessions if any.

    Raises `ActorGone`, `RightLost` or `NotThere`.
    """
    if isinstance(actor, Actor):
        require_actor(actor, action, *sessions)


def require_actor(actor: Actor, action: Action, *sessions: AwsSession) -> Actor:
    """Check under a lock that the actor may do that; return the actor as read now.

    The sessions take on what is stored of them now.
    """
    actor, _ = actor_again(actor)
    if not sessions:
        _require(actor, action, None)
        return actor
    ids = [each.pk for each in sessions]
    found = AwsSession.objects.filter(team=actor.team_id, pk__any_of=ids).select_related("link")
    stored = found.in_bulk()
    for session in sessions:
        if session.pk not in stored:
            raise NotThere("", f"“{session.alias}” was deleted meanwhile.")
        _take_on(session, stored[session.pk])
        _require(actor, action, session)
    return actor


def _take_on(session: AwsSession, stored: AwsSession) -> None:
    for field in AwsSession._meta.concrete_fields:
        setattr(session, field.attname, getattr(stored, field.attname))
    session._state.fields_cache.pop("link", None)
    session.__dict__.pop("labels_shown", None)
    if hasattr(stored, "link"):
        session.link = stored.link


def _require(actor: Actor, action: Action, session: AwsSession | None) -> None:
    if not can(actor, action, session):
        raise RightLost("", LOST)


def actor_again(actor: Actor) -> tuple[Actor, datetime]:
    """Read member and token of an actor again under a lock; return them and the time.

    Raises `ActorGone`.
    """
    mine = memberships_of(actor.user).select_related("team__policy").annotate(read_at=Now())
    member = mine.filter(pk=actor.member.pk).first()
    if member is None:
        raise ActorGone("", GONE)
    if actor.token is None:
        # By a page: a new password, or a suspension, has ended the login meanwhile.
        if member.user.get_session_auth_hash() != actor.user.get_session_auth_hash():
            raise ActorGone("", GONE)
        return Actor(member, confirmed=actor.confirmed), member.read_at
    tokens = Token.objects.filter(pk=actor.token.pk, user=member.user_id, team=member.team_id)
    token = tokens.first()
    if token is None or not token.is_valid(member.read_at):
        raise ActorGone("", GONE)
    return Actor(member, token), member.read_at
