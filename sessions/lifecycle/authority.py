"""Hold a lock first, and only then read who may do what: the one order for everything that gives a secret or changes a right.

Two locks, always in this order: the row of the team, then the rows of what is changed, and last the head of the team's
ledger (`ledger.append`). A reveal changes no row, so it takes the head alone. Whatever ends a right writes a line in the same
transaction and so holds the head when it commits: a reveal comes wholly before it, or reads what it has left.

What is read again has to be read in a later statement than the lock: a row that is joined in `SELECT … FOR UPDATE` is as old
as the start of that statement. On SQLite a transaction is begun IMMEDIATE and is itself the lock.
"""

from datetime import datetime
from uuid import UUID

from sessions.clock import Now
from sessions.lifecycle.refused import ActorGone, NotThere, RightLost
from sessions.models import AwsSession, Membership, Team, Token
from sessions.policy import Action, can, memberships_of

# Who acts: a member, or by name the operator, the clock, the identity provider, whose right no team can end.
Actor = Membership | str

GONE = "You are no longer in this team, or your token has ended."
LOST = "You may not do that any more."


def name_of(actor: Actor) -> str:
    """Return the name that the ledger gives an actor."""
    return actor if isinstance(actor, str) else actor.user.get_username()


def lock_team(team_id: UUID) -> Team:
    """Hold the team's row until the transaction ends: plans, links, rights and erasures of one team go one after another."""
    return Team.objects.select_for_update().get(pk=team_id)


def lock_team_for(actor: Actor, team_id: UUID, action: Action, *sessions: AwsSession) -> Team:
    """Hold the team's row, then make sure that the actor may still do that, to each of these sessions where some are meant.

    Raises `ActorGone`, `RightLost` or `NotThere`.
    """
    team = lock_team(team_id)
    require_still(actor, action, *sessions)
    return team


def require_still(actor: Actor, action: Action, *sessions: AwsSession) -> None:
    """Make sure, under a lock, that the actor may do that now. Raises as `lock_team_for` does."""
    if isinstance(actor, str):
        return
    member, _ = member_again(actor)
    if not sessions:
        _require(member, action, None)
    fresh = AwsSession.objects.filter(team=member.team_id).in_bulk([each.pk for each in sessions])
    for session in sessions:
        if session.pk not in fresh:
            raise NotThere("", f"“{session.alias}” was deleted meanwhile.")
        _require(member, action, fresh[session.pk])


def _require(member: Membership, action: Action, session: AwsSession | None) -> None:
    if not can(member, action, session):
        raise RightLost("", LOST)


def member_again(member: Membership) -> tuple[Membership, datetime]:
    """Read a member again under a lock, with the token they act by, and the time. Raises `ActorGone`."""
    mine = memberships_of(member.user).select_related("team__policy").annotate(read_at=Now())
    fresh = mine.filter(pk=member.pk).first()
    if fresh is None:
        raise ActorGone("", GONE)
    if member.token is not None:
        token = Token.objects.filter(pk=member.token.pk, user=fresh.user_id, team=fresh.team_id).first()
        if token is None or not token.is_valid(fresh.read_at):
            raise ActorGone("", GONE)
        fresh.token = token
    return fresh, fresh.read_at
