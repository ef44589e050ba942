"""Answer on a page whose a credential, a name or a record of CloudTrail was."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from sessions.ledger.reading import record_question
from sessions.ledger.standing import standing_of
from sessions.ledger.whois.asking import Answers, Asked, CannotRead, ask
from sessions.ledger.whois.clues import is_public
from sessions.models import Membership
from sessions.permissions import Action
from sessions.views.guards import member_in
from sessions.views.ledger.members import members_named


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def whois_page(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Ask and answer. What is no secret for certain gets an address that can be passed on."""
    actor = member_in(request, team_slug, Action.READ_LEDGER)
    text = (request.POST if request.method == "POST" else request.GET).get("q", "").strip()
    if request.method == "POST" and is_public(text):
        return redirect(f"{reverse('whois', args=[team_slug])}?{urlencode({'q': text})}")
    context: dict[str, Any] = {"asked": text, "answers": Answers(()), "error": ""}
    if text:
        try:
            context["answers"] = ask(actor.team_id, text)
            record_question(actor, text, context["answers"])
        except CannotRead as error:
            context["error"] = str(error)
    context["people"] = people_among(actor.member, context["answers"].found)
    if context["answers"].found:
        context["standing"] = standing_of(actor.team_id)
    status = 422 if context["error"] else 200
    return render(request, "ledger/whois.html", context, status=status)


def people_among(member: Membership, found: Iterable[Asked]) -> dict[str, Membership]:
    """Return {username: membership} of those in the answers who are in the team now."""
    names = (
        name
        for asked in found
        for name in (
            *asked.answer.people,
            *(each.person for each in asked.answer.deliveries),
            *(each.person for each in asked.answer.candidates),
        )
    )
    return members_named(member.team_id, names)
