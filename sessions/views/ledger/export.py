"""Take a search's events away as a file."""

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from sessions.db.clock import database_now
from sessions.forms.ledger import search_form
from sessions.ledger.downloads import FORMATS, export
from sessions.ledger.reading import lines_for
from sessions.monitoring import request_limits
from sessions.views.guards import member_in, recently_logged_in


@recently_logged_in
@require_POST
def export_events(request: HttpRequest, team_slug: str) -> HttpResponseBase:
    """Stream what a search finds, as far as its reader may read it."""
    actor = member_in(request, team_slug)
    form, chosen = search_form(request.POST), request.POST.get("format", "")
    if chosen not in FORMATS or not form.is_valid():
        return redirect("events", team_slug)
    request_limits.count(request_limits.EXPORT, actor.user_id)
    lines = lines_for(actor, form.search())
    file, content = export(actor, lines, chosen, form.asked())
    response = StreamingHttpResponse(content, content_type=file.content_type)
    name = f"{file.name}-{team_slug}-{database_now():%Y%m%dT%H%M%SZ}.{file.suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
