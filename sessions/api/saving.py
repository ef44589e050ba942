"""Save what the API is sent of a session by the form of its kind."""

from typing import Any

from sessions.actors import Actor
from sessions.api.errors import ApiError
from sessions.api.forms import form_errors
from sessions.api.presenting import answered, as_json
from sessions.aws.roots import ROOT_KINDS
from sessions.catalog.deletions import delete_session, mark_of
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.forms.fields import wrong_types
from sessions.forms.sessions import SessionForm, form_for, stored_values
from sessions.locks.versions import Changed
from sessions.models import CHAINED, AwsSession
from sessions.permissions import Action, NotAllowed, why_not_create

KINDS = [CHAINED, *ROOT_KINDS]
# A message names so many sessions, and says how many more there are.
NAMED = 20


def require_one_of(name: str, value: str, known: list[str]) -> None:
    """Refuse a text that is none of these; an empty one is none asked for. Raises `ApiError`."""
    if value and value not in known:
        listed = f"One of: {', '.join(known)}."
        raise ApiError(
            422, "invalid", f"There is no {name} {value[:64]!r}. {listed}", {name: [listed]}
        )


def checked_form(form: SessionForm, sent: dict[str, Any]) -> SessionForm:
    """Return the form if it is valid. Raises `ApiError`, also for what it has no field for."""
    unknown = sorted(set(sent) - set(form.fields))
    if unknown:
        raise ApiError(
            422,
            "invalid",
            "There are fields that this kind does not have.",
            {name: ["Unknown field."] for name in unknown},
        )
    if wrong := wrong_types(form, sent):
        raise ApiError(422, "invalid", "There are values of the wrong type.", wrong)
    if not form.is_valid():
        raise form_errors(form)
    return form


def require_creatable(actor: Actor, kind: str) -> None:
    """Refuse a kind that there is not, or that the actor cannot create. Raises `ApiError`."""
    require_one_of("kind", kind, KINDS)
    reason = why_not_create(kind, actor)
    if reason:
        lacks = NotAllowed(
            actor, Action.CREATE_CHAINED if kind == CHAINED else Action.CREATE_ROOT
        ).scope
        raise ApiError(403, "forbidden", reason, {"scope": [lacks]} if lacks else None)


def create(actor: Actor, kind: str, sent: dict[str, Any]) -> AwsSession:
    """Create a session of what was sent. Raises `ApiError`."""
    require_creatable(actor, kind)
    view = view_of_sessions(actor, database_now())
    return save(checked_form(form_for(kind, sent, view=view, is_page=False), sent))


def save(form: SessionForm) -> AwsSession:
    """Save a valid form. Raises `ApiError` where the rules refuse it."""
    session = form.save()
    if session is None:
        raise form_errors(form)
    return session


def patched_form(session: AwsSession, actor: Actor, sent: dict[str, Any]) -> SessionForm:
    """Return the valid form of a session with some fields changed."""
    view = view_of_sessions(actor, database_now())
    as_it_was = answered(session, view.policy)
    # What is sent back as it was answered changes nothing: a default that was shown does not become
    # a name of its own.
    changes = {
        name: value
        for name, value in sent.items()
        if name not in as_it_was or value != as_it_was[name]
    }
    merged = as_json(stored_values(session)) | changes
    return checked_form(
        form_for(session.kind, merged, view=view, session=session, is_page=False), sent
    )


def patch_fields(session: AwsSession, actor: Actor, sent: dict[str, Any]) -> AwsSession:
    """Change some fields of a session to what was sent. Raises `ApiError` and `Changed`."""
    form = patched_form(session, actor, sent)
    form.seen = session.version
    return save(form)


def delete_one(
    session: AwsSession, actor: Actor, *, dependants: bool, seen: int | None = None
) -> None:
    """Delete a session; with `dependants`, what is assumed from it as well. Raises `ApiError`."""
    if not dependants and (below := [each.alias for each, _ in session.dependants(NAMED)]):
        count = session.with_dependants().count() - 1
        more = f" and {count - NAMED} more" if count > NAMED else ""
        raise ApiError(
            409,
            "has_dependants",
            f"Sessions are assumed from it: {', '.join(below)}{more}. Confirm with"
            " ?dependants=true.",
        )
    try:
        delete_session(session, actor, seen=seen, below_seen=None if dependants else mark_of([]))
    except (Changed, NotThere, RightLost):
        raise
    except Refused as refused:
        raise ApiError(409, "refused", refused.message) from None
