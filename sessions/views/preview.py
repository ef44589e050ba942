"""What CloudTrail will show of a chained session, while its form is being filled in."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from sessions.aws.arn import RoleArn
from sessions.aws.names import InvalidName
from sessions.clock import database_now
from sessions.forms import form_for
from sessions.lifecycle.plan import resolve_hop
from sessions.lifecycle.state import TeamView, view_of_team
from sessions.models import CHAINED, AssumerLink, AwsSession
from sessions.policy import Action
from sessions.views.access import member_in, require


@login_required
@require_POST
def preview_session(request: HttpRequest, team_slug: str) -> HttpResponse:
    """The account, the ARN and the chain of what is typed so far; nothing is stored and AWS is not asked."""
    member = member_in(request, team_slug)
    require(member, Action.CREATE_CHAINED)
    view = view_of_team(member, database_now())
    form = form_for(CHAINED, request.POST, view=view)
    form.is_valid()
    return render(request, "_preview.html", _previewed(form.cleaned_data, view))


def _previewed(typed: dict[str, Any], view: TeamView) -> dict[str, Any]:
    """{account, arn, chain (aliases, root first), hops}; empty while role ARN and role session name are not right yet.

    `typed` holds only the fields that are.
    """
    if not (typed.get("role_arn") and typed.get("role_session_name")):
        return {}
    draft = AwsSession(team=view.member.team, kind=CHAINED, alias=typed.get("alias", "session"))
    link = AssumerLink(
        session=draft, role_arn=typed["role_arn"], role_session_name=typed["role_session_name"]
    )
    try:
        hop = resolve_hop(link, draft, view.member)
    except InvalidName:
        return {}
    role = RoleArn.parse(hop.role_arn)
    chain: list[str] = []
    if assumer := typed.get("assumer"):
        chain = [step.alias for step in view.chain_of(view.sessions[assumer.pk])]
    return {
        "account": role.account,
        "arn": role.assumed_role_arn(hop.role_session_name),
        "chain": [*chain, draft.alias] if chain else [],
        "hops": len(chain),
    }
