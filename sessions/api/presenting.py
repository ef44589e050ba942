"""Show sessions as the API answers them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sessions.activations.moves import progress
from sessions.actors import Actor
from sessions.api.schemas import ProblemOut
from sessions.catalog.team_view import Described, view_of_sessions
from sessions.db.clock import database_now
from sessions.forms.sessions import stored_values
from sessions.models import AwsSession, TeamPolicy


def described(actor: Actor, session: AwsSession) -> dict[str, Any]:
    """Show one session, and how far active sessions have followed its last change."""
    shown = all_described(actor, [session])[0]
    moving = progress(actor.team_id, session)
    return shown | ({"moving": moving} if moving else {})


def all_described(actor: Actor, sessions: Sequence[AwsSession]) -> list[dict[str, Any]]:
    """Show sessions, at the cost of these and their chains."""
    view = view_of_sessions(actor, database_now(), sessions)
    return [_as_json(view.describe(view.sessions[session.pk]), view.policy) for session in sessions]


def _as_json(described: Described, policy: TeamPolicy) -> dict[str, Any]:
    session, state = described.session, described.state
    values = answered(session, policy)
    if session.is_chained:
        values["role_session_name_is_default"] = not session.link.role_session_name
    else:
        values["sts_region"] = session.sts_home
    return {
        "id": session.pk,
        "version": session.version,
        "kind": session.kind,
        **values,
        "is_sensitive": session.is_sensitive,
        "account": described.account,
        "cloudtrail_name": described.cloudtrail_name,
        "cloudtrail_arn": described.cloudtrail_arn,
        "status": str(state.status),
        "expires_at": state.expires_at,
        "minted_at": state.minted_at,
        "next_rotation_at": state.next_rotation_at,
        "ends_at": state.ends_at,
        "problem": ProblemOut.of(state.problem),
        "chain": [
            {"id": each.pk, "alias": each.alias, "kind": each.kind} for each in described.chain
        ],
    }


def answered(session: AwsSession, policy: TeamPolicy) -> dict[str, Any]:
    """Return the stored values of a form's fields.

    A name that is left to the team is the default of now.
    """
    values = as_json(stored_values(session))
    if session.is_chained and not session.link.role_session_name:
        values["role_session_name"] = policy.role_session_name
    return values


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Return a form's stored values as JSON has them: ids as text."""
    return {
        name: str(value) if isinstance(value, UUID) else value for name, value in values.items()
    }
