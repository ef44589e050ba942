"""Connect a laptop: one page makes its token, the token's files and the AWS profiles."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from sessions.exceptions import Refused
from sessions.forms.tokens import ConnectForm
from sessions.models import Scope
from sessions.people.tokens import Limits, create_token
from sessions.permissions import Action
from sessions.snippets import connect as commands
from sessions.snippets.token_files import name_for
from sessions.views.guards import member_in, recently_logged_in


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Create a token for a device, and show the command that holds it, this once."""
    actor = member_in(request, team_slug, Action.HOLD_TOKENS)
    form = ConnectForm(request.POST if request.method == "POST" else None, actor=actor)
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        address = request.build_absolute_uri("/api/v1/config?format=aws-config")
        mark = f"{request.get_host()}_{actor.team.slug}"
        files = name_for(address, actor.team.slug)
        try:
            token = create_token(
                actor.member,
                wanted["device"],
                actor,
                wanted["days"],
                [Scope(each) for each in wanted["scopes"]],
                limits=Limits(device=wanted["device"]),
            )
        except Refused as refused:
            if refused.field not in {"name", "days"}:
                raise Http404 from None  # what a member removed a moment ago gets everywhere
            form.add_error("device" if refused.field == "name" else "days", refused.message)
        else:
            shown = {
                "device": wanted["device"],
                "files": files,
                "posix": commands.posix(token, address, mark, files),
                "powershell": commands.powershell(token, address, mark, files),
            }
            return render(request, "people/connected.html", shown)
    return render(
        request, "people/connect.html", {"form": form}, status=422 if form.errors else 200
    )
