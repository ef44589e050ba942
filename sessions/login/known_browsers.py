"""Remember a person's browsers, so that no stranger locks them out by failing under their name.

A device cookie, as OWASP describes it: signed for one name, with a number of its own by which its
failures are counted apart from everybody else's. It proves nothing else and replaces no password.
"""

import secrets
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

KNOWN_FOR = timedelta(days=90)


def remember(request: HttpRequest, response: HttpResponse, name: str) -> None:
    """Give the browser its cookie for another 90 days.

    It forgets whoever logged in there before.
    """
    number = number_of(request, name) or secrets.token_urlsafe(12)
    response.set_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME,
        _signer(name).sign(number),
        max_age=KNOWN_FOR,
        secure=settings.SECURE_COOKIES,
        httponly=True,
        samesite="Lax",
    )


def number_of(request: HttpRequest, name: str) -> str:
    """Return the number of a browser in which that person has logged in.

    Empty if it is none.
    """
    try:
        return _signer(name).unsign(
            request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, ""), max_age=KNOWN_FOR
        )
    except BadSignature:
        return ""


def _signer(name: str) -> TimestampSigner:
    return TimestampSigner(salt=f"known browser of {name.lower()}")
