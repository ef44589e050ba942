"""Set a team's policy, and edit what it applies to."""

from sessions.actors import Actor
from sessions.catalog.sessions import save_session
from sessions.catalog.team_policy import PolicyDraft, save_policy
from sessions.models import TeamPolicy
from tests.house import draft_of

OFFICE = "203.0.113.0/24"


def set_policy(house, **changes):
    stored = PolicyDraft.of(TeamPolicy.of(house.team.pk))
    return save_policy(PolicyDraft(**{**vars(stored), **changes}), Actor(house.ada))


def edit(house, session, **changes):
    """Save a session again with these changes, as its form does."""
    return save_session(draft_of(session, **changes), Actor(house.ada), session)
