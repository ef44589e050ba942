"""Define the WSGI application that gunicorn serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chainweb.settings")
_django = get_wsgi_application()

from django.conf import settings  # noqa: E402  (as below)

from sessions.db.limits import limit_waits  # noqa: E402
from sessions.locks import turnstile  # noqa: E402
from sessions.maintenance.starting import refuse_to_start_without_keys  # noqa: E402  (needs what the line above has set up)

limit_waits(
    settings.DATABASES["default"],
    lock_seconds=settings.LOCK_TIMEOUT_SECONDS,
    statement_seconds=settings.STATEMENT_TIMEOUT_SECONDS,
)
turnstile.enable()
refuse_to_start_without_keys("web")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve one request. Refuse one whose path was moved by a SCRIPT_NAME.

    Chainweb is served at the root of its host. A server that takes SCRIPT_NAME from a header cuts
    it off the path, and what a proxy has let through as `/x/metrics` would be `/metrics` here.
    """
    if environ.get("SCRIPT_NAME"):
        start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return [b""]
    return _django(environ, start_response)
