"""Show the role session names in use: what CloudTrail shows of a team's people."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from sessions.ledger.names import Finding, NameSearch, names_of, uncounted
from sessions.models import TeamPolicy
from sessions.permissions import Action
from sessions.views.guards import member_in
from sessions.views.ledger.members import members_named

SHOWN = 50
LABELS = {
    Finding.SHARED: "shared",
    Finding.SEVERAL_PEOPLE: "several people",
    Finding.BREAKS_POLICY: "breaks the policy",
}


@login_required
@require_safe
def names_page(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List names, the last used first; filters and pages are links."""
    actor = member_in(request, team_slug, Action.READ_LEDGER)
    search = search_of(request)
    found = names_of(actor.team, search, SHOWN + 1)
    shown = found[:SHOWN]
    context = {
        "names": [(name, [LABELS[each] for each in name.findings]) for name in shown],
        "filters": LABELS.items(),
        "search": search,
        "policy": TeamPolicy.of(actor.team_id),
        "people": members_named(
            actor.team_id, (person for each in shown for person in each.people)
        ),
        "after": shown[-1].cursor if len(found) > SHOWN else "",
        "uncounted": uncounted(actor.team_id),
    }
    return render(request, "ledger/names.html", context)


def search_of(request: HttpRequest) -> NameSearch:
    """Read what an address asks for. Raises `BadRequest`."""
    get = request.GET.get
    try:
        return NameSearch.read(get("q", ""), get("finding", ""), get("after", ""))
    except ValueError:
        raise BadRequest("This address asks for no names.") from None
