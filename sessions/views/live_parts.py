"""Tell what a page's live parts ask for.

django-htmx's middleware reads htmx's headers into `request.htmx`.
"""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


def htmx_of(request: HttpRequest) -> HtmxDetails:
    """Return what htmx says of a request; it is false for one that htmx did not send."""
    details: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by HtmxMiddleware
    return details


def asks_for_part(request: HttpRequest) -> bool:
    """Tell a request for one part of a page from one for the whole page."""
    htmx = htmx_of(request)
    return bool(htmx) and not htmx.boosted
