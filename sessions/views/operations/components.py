"""Show every part of the pages in every state.

Only a demo or a developer's installation serves it.
"""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
@login_required
def components(request: HttpRequest) -> HttpResponse:
    """Show the parts. 404 where AWS is real: there it would only be one more page to guard."""
    if not (settings.SIMULATED or settings.DEBUG):
        raise Http404
    return render(request, "components/all.html")
