"""Answer requests that come too often with 429, and name the network that asks."""

import ipaddress
import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from sessions.middleware.api_errors import api_error, is_for_the_api
from sessions.middleware.origin import client_address
from sessions.monitoring.request_limits import TooOften

MESSAGE = "Too many requests. Try again in {seconds} s."


def network_of(request: HttpRequest) -> str:
    """Name the network of a request's client.

    256 IPv4 addresses (/24), or one site of IPv6 (/64).
    """
    return _network_of(request, 24)


def address_of(request: HttpRequest) -> str:
    """Return a client's address: an IPv4 address, or an IPv6 site (/64)."""
    return _network_of(request, 32)


def _network_of(request: HttpRequest, ipv4_prefix: int) -> str:
    address = client_address(request)
    if address is None:  # who cannot be told apart is counted together
        return "unknown"
    prefix = ipv4_prefix if address.version == 4 else 64
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))


class TooOftenMiddleware:
    """Answer `TooOften` with 429: for the API as its object, else as a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer(request, error) if isinstance(error, TooOften) else None


def answer(request: HttpRequest, error: TooOften) -> HttpResponse:
    """Make the 429, with `Retry-After` in whole seconds."""
    seconds = max(1, math.ceil(error.retry_after_seconds))
    if is_for_the_api(request):
        response: HttpResponse = api_error(429, "too_many", MESSAGE.format(seconds=seconds))
    else:
        response = render(request, "429.html", status=429)
    response.headers["Retry-After"] = str(seconds)
    return response
