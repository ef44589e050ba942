"""Compare the web's CPU for one request in a team of 50,000 sessions with a team of ten.

Every request goes through the real WSGI handler, with its middleware, login and templates, to two
databases that differ in nothing but the rest of the team. They are asked in turn, and what a
request has changed is taken back.
"""

import gc
import io
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import login
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.http import HttpRequest

from bench import large_team, routes
from bench.environment import Environment, Unmeasurable
from bench.large_team import LargeTeam
from bench.report import Figure
from bench.routes import Ask
from sessions.models import Membership
from sessions.monitoring import request_limits

FEW, MANY = 10, 50_000
REPETITIONS = 9
# A ratio over this is measured again, since the worst of a hundred is mostly chance.
DOUBTFUL, AGAIN = 1.1, 31


@dataclass(frozen=True)
class Side:
    """Hold one of the two databases, the team in it, and a way to ask."""

    team: LargeTeam
    use: Callable[[], None]
    cookies: dict[str, str]


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    if missing := routes.missing():
        raise Unmeasurable(f"bench/routes.py has no request for {sorted(missing)}.")
    many = max(int(MANY * scale), 2 * FEW)
    sides = list(_sides(environment, many))
    handler = WSGIHandler()
    logging.getLogger(
        "django.request"
    ).disabled = True  # answers over 399 are among what is asked for
    # It would close what the transaction around a request is in.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    repetitions = REPETITIONS if scale >= 0.1 else 2
    gc.collect()
    gc.freeze()  # what is loaded is no garbage, and is not looked through before each request
    figures: dict[str, tuple[list[float], list[float]]] = {}
    for ask in routes.asks():
        figures[ask.name] = _compare(handler, ask, sides, repetitions)
    for ask in routes.asks():
        if scale >= 0.1 and _ratio(*figures[ask.name]) > DOUBTFUL:
            figures[ask.name] = _compare(handler, ask, sides, AGAIN)
    ratios = {name: _ratio(*pair) for name, pair in figures.items()}
    worst = max(ratios, key=lambda name: ratios[name])
    few, much = (statistics.median(side) * 1000 for side in figures[worst])
    yield Figure(
        "page_growth_ratio",
        [ratios[worst]],
        most=1.2,
        note=(
            f"the worst of {len(ratios)}: {worst}, {few:.1f} → {much:.1f} ms; the median of all is "
            f"{statistics.median(ratios.values()):.2f}"
        ),
        more={
            "sessions": [FEW, many],
            "routes": {
                name: {
                    "ratio": ratios[name],
                    "few_ms": 1000 * statistics.median(pair[0]),
                    "many_ms": 1000 * statistics.median(pair[1]),
                }
                for name, pair in sorted(figures.items(), key=lambda item: -ratios[item[0]])
            },
        },
    )


def _sides(environment: Environment, many: int) -> Iterator[Side]:
    """Build the same team in two databases, with few and with many sessions around it."""
    for number in (FEW, many):
        environment.fresh()
        team = large_team.build()
        large_team.crowd(team, 1, number)
        environment.quiesce()
        cookies = {
            name: _log_in(who) for name, who in (("admin", team.admin), ("member", team.member))
        }
        use = environment.keep() if number == FEW else environment.current()
        yield Side(team, use, cookies)


def _log_in(member: Membership) -> str:
    """Return a login by password of this moment: the value of its cookie."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, member.user, backend=settings.AUTHENTICATION_BACKENDS[0])
    record = {
        "method": "password",
        "at": time.time() + 3600,
        "username": member.user.get_username(),
    }
    request.session["account_authentication_methods"] = [record]
    request.session["account_authentication_methods_user"] = str(member.user_id)
    request.session.save()
    assert request.session.session_key
    return request.session.session_key


def _compare(
    handler: WSGIHandler, ask: Ask, sides: Sequence[Side], repetitions: int
) -> tuple[list[float], list[float]]:
    """Return the request's CPU seconds on both sides, in turn; the first of each does not count."""
    taken: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    for number in range(repetitions + 1):
        for side, found in zip(sides, taken, strict=True):
            side.use()
            seconds = _one(handler, ask, side)
            if number:
                found.append(seconds)
    return taken


def _one(handler: WSGIHandler, ask: Ask, side: Side) -> float:
    environ = _environ(ask, side)
    status: list[str] = []

    def begin(line: str, headers: Any, error: Any = None, /) -> Callable[[bytes], object]:
        status.append(line)
        return lambda data: None

    request_limits.forget()  # the same is asked for again and again
    with _taken_back():
        gc.disable()
        before = time.process_time()
        response = handler(environ, begin)
        body = b"".join(response)
        response.close()
        seconds = time.process_time() - before
        gc.enable()
    code = int(status[0].split()[0])
    if code >= 500 if ask.status == 0 else code != ask.status:
        where = response.headers.get("Location", body[-300:])
        raise Unmeasurable(f"{ask.name} answered {code}, not {ask.status}: {where!r}")
    return seconds


def _environ(ask: Ask, side: Side) -> dict[str, Any]:
    path = urlsplit(ask.path(side.team))
    headers = {"HTTP_HOST": "localhost", "HTTP_USER_AGENT": "bench"}
    if ask.is_api:
        kind, body = "application/json", ask.body(side.team).encode()
        if ask.by:
            headers["HTTP_AUTHORIZATION"] = f"Bearer {side.team.tokens[ask.by].reveal()}"
    else:
        kind, body = (
            "application/x-www-form-urlencoded",
            urlencode(ask.data(side.team), doseq=True).encode(),
        )
        csrf = "b" * 32
        headers["HTTP_X_CSRFTOKEN"] = csrf
        cookies = {settings.CSRF_COOKIE_NAME: csrf}
        if ask.by:
            cookies[settings.SESSION_COOKIE_NAME] = side.cookies[ask.by]
        headers["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    for name, value in ask.headers.items():
        headers[f"HTTP_{name.upper().replace('-', '_')}"] = value
    if ask.method == "GET":
        body = b""
    return {
        "REQUEST_METHOD": ask.method,
        "PATH_INFO": path.path,
        "QUERY_STRING": path.query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **headers,
    }


@contextmanager
def _taken_back() -> Iterator[None]:
    """Open a transaction around the request and roll it back.

    It is marked as a test's, so a durable transaction may be inside it.
    """
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # Django's own tests do the same
    with block:
        yield
        transaction.set_rollback(True)


def _ratio(few: Sequence[float], many: Sequence[float]) -> float:
    return statistics.median(many) / statistics.median(few)
