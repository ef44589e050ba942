"""Preview what CloudTrail will show of a chain for a person: form, page, policy draft."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from sessions.actors import Actor
from sessions.aws.names import new_external_id
from sessions.catalog.closed_roles import check_role
from sessions.catalog.team_view import view_of_sessions
from sessions.chains.names import preview
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.hop_fields import settings_of
from sessions.forms.sessions import form_for
from sessions.models import CHAINED, AssumerLink, AwsSession, Membership, TeamPolicy
from sessions.models.sessions import load_chains
from sessions.monitoring import request_limits
from sessions.permissions import Action, NotAllowed, can
from sessions.views.guards import member_in, require, session_being_edited, session_for


def people_to_preview(actor: Actor) -> list[Membership]:
    """List the people whose names an actor may preview.

    All for readers of the ledger, else oneself.
    """
    if not can(actor, Action.READ_LEDGER):
        return [actor.member]
    everybody = Membership.objects.filter(team=actor.team, user__is_active=True)
    return list(everybody.select_related("user", "team").order_by("user__username"))


def chosen_person(request: HttpRequest, actor: Actor) -> Membership:
    """Return the member that the page asks for by `as`; oneself if none.

    404 for somebody one may not preview.
    """
    asked = (request.POST if request.method == "POST" else request.GET).get("as", "")
    if asked in ("", str(actor.member.pk)):
        return actor.member
    for each in people_to_preview(actor):
        if str(each.pk) == asked:
            return each
    raise Http404


def preview_context(
    chain: list[AwsSession], person: Membership, policy: TeamPolicy, actor: Actor
) -> dict[str, Any]:
    """Return what `sessions/create/_preview.html` shows: the hops with that person's names."""
    return {
        "hops": preview(chain, person, policy),
        "chain": [each.alias for each in chain],
        "person": person,
        "is_oneself": person.pk == actor.member.pk,
    }


@login_required
@require_POST
def preview_session(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Preview every hop of what is typed so far; nothing is stored and AWS is not asked."""
    actor = member_in(request, team_slug)
    require(actor, Action.CREATE_CHAINED)
    request_limits.count(request_limits.PREVIEW, actor.user_id)
    person = chosen_person(request, actor)
    view = view_of_sessions(actor, database_now())
    form = form_for(CHAINED, request.POST, view=view)
    form.is_valid()
    chain = _typed_chain(form.cleaned_data, actor)
    context = preview_context(chain, person, view.policy, actor) if chain else {}
    if chain:
        context["refused"] = _why_refused(
            chain, actor, session_being_edited(request, actor) or chain[-1]
        )
    return render(request, "sessions/create/_preview.html", context | {"is_form": True})


def _why_refused(chain: list[AwsSession], actor: Actor, session: AwsSession) -> str:
    """Say why the member may not have that chain; empty if they may."""
    if not can(actor, Action.USE_AS_ASSUMER, chain[-2]):
        return NotAllowed(actor, Action.USE_AS_ASSUMER, chain[-2]).message
    try:
        check_role(chain[-1].link.role_arn, actor, session)
    except Refused as refused:
        return refused.message
    return ""


def _typed_chain(typed: Mapping[str, Any], actor: Actor) -> list[AwsSession]:
    """Return the chain that the valid fields make, root first.

    Empty while a field that counts is missing.
    """
    assumer = typed.get("assumer")
    if not (typed.get("role_arn") and "role_session_name" in typed and assumer):
        return []
    draft = AwsSession(team=actor.team, kind=CHAINED, alias=typed.get("alias", "session"))
    stored = AssumerLink.fields_of(settings_of(typed))
    draft.link = AssumerLink(session=draft, assumer=assumer, **stored)
    return [*load_chains([assumer], broken=True)[assumer.pk], draft]


@login_required
@require_safe
def session_names(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Show the hops of a stored session for the person named by `?as=`."""
    session, actor = session_for(request, session_id)
    person = chosen_person(request, actor)
    view = view_of_sessions(actor, database_now(), [session])
    chain = view.chain_of(view.sessions[session.pk])
    return render(
        request,
        "sessions/create/_preview.html",
        preview_context(chain, person, view.policy, actor),
    )


@login_required
@require_POST
def new_external_id_field(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Show the form's field with a new random external ID in it."""
    actor = member_in(request, team_slug)
    require(actor, Action.CREATE_CHAINED)
    form = form_for(
        CHAINED,
        None,
        view=view_of_sessions(actor, database_now()),
        initial={"external_id": new_external_id()},
    )
    return render(request, "sessions/create/_external_id.html", {"field": form["external_id"]})
