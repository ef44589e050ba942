"""Tell the ledger from where a request comes."""

import ipaddress
from collections.abc import Callable

from allauth.account.adapter import get_adapter
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from sessions.ledger.origin import Origin, asked_from, client_name

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(request: HttpRequest) -> Address | None:
    """Return the client's address; None where the proxies before us do not tell it."""
    try:
        address = ipaddress.ip_address(get_adapter(request).get_client_ip(request))
    except (ValueError, PermissionDenied):
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def origin_of(request: HttpRequest) -> Origin:
    """Return from where a request comes, and by which token once that is known."""
    token = getattr(getattr(request, "auth", None), "token", None)
    return Origin(
        address=str(client_address(request) or ""),
        client=client_name(request.headers.get("User-Agent", "")),
        token_id=str(token.pk) if token else "",
        token=token.name if token else "",
        device=token.device if token else "",
    )


def say_where_from(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Have every line that a request leads to say from where it came."""

    def answer(request: HttpRequest) -> HttpResponse:
        with asked_from(lambda: origin_of(request)):
            return get_response(request)

    return answer
