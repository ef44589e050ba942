"""Answer tools that fetch credentials again and again: by container endpoint or credential_process.

Such a tool shows a person nothing but what a refusal says, and asks several times before it gives
up. So a refusal says what to do and on which page (`sessions.middleware.api_errors` adds its
address), costs little when asked for again, and a token that may starts what is not started.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja.errors import AuthenticationError

from sessions import tasks
from sessions.activations.start_stop import start_session
from sessions.activations.status import State, Status
from sessions.actors import Actor
from sessions.api.base import ApiError, TokenAuth, api, secret_in, startable
from sessions.api.refusals import refusals
from sessions.aws.credentials import AwsCredentials
from sessions.credentials.timing import LEAST_LIFE
from sessions.db.clock import database_now
from sessions.delivery import by_token
from sessions.delivery.prepared import is_prepared
from sessions.delivery.reveal import MOVING, NotReady, NotYours, Preparing, account_of, reveal
from sessions.middleware.origin import client_address
from sessions.middleware.too_often import address_of
from sessions.models import Activation, AwsSession, Token
from sessions.monitoring import request_limits
from sessions.permissions import Action, can, is_orphaned
from sessions.snippets import FORMATS, Snippet

# What a browser sends with what a page asks for. Sec-Fetch-Mode alone is none of it: Node's fetch
# sends that as well.
BROWSER_HEADERS = ("Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Fetch-User")

# botocore gives up at 2 s, the SDK for JavaScript at 1 s.
ANSWER_WITHIN_SECONDS = 0.8
LOOK_EVERY_SECONDS = 0.04
# Threads of this process that may wait for a worker at once; others answer with 503 right away.
MOST_WAITING = 4
_waiting = threading.BoundedSemaphore(MOST_WAITING)
_authenticate = TokenAuth()


def refuse_browsers(request: HttpRequest) -> None:
    """Refuse what a page in a browser asks for, whoever's token it has. Raises `ApiError`."""
    if any(header in request.headers for header in BROWSER_HEADERS):
        raise ApiError(403, "browser", "This address gives no credentials to browsers.")


def fetch(request: HttpRequest, session_id: UUID, form: str) -> HttpResponse:
    """Answer with the credentials of a session in that form, or say why not."""
    until = time.monotonic() + ANSWER_WITHIN_SECONDS
    try:
        refuse_browsers(request)
        secret = secret_in(request)
    except ApiError as error:
        return api.on_exception(request, error)
    digest = Token.digest_of(secret) if secret else ""
    key = (digest, session_id, form, address_of(request))
    if (said := refusals.get(key)) is not None:
        return said
    try:
        text = _fetch(request, session_id, form, digest, until)
    except Exception as error:  # noqa: BLE001  (what the API has no answer to is raised again)
        response = api.on_exception(request, error)
        # Whoever asks too often is told for how long; who is nobody is counted each time.
        if response.status_code not in {401, 429}:
            refusals.put(key, response)
        return response
    return HttpResponse(text, content_type="application/json")


def _fetch(request: HttpRequest, session_id: UUID, form: str, digest: str, until: float) -> str:
    if (token := by_token.known(digest)) is not None:
        request_limits.count(request_limits.FETCH, token.token_id)
        found = by_token.reveal_to(
            digest, session_id, client_address(request), form=form, at_least=LEAST_LIFE
        )
        if found is not None:
            return _rendered(found.credentials, found.session, form)
    actor = _authenticate(request)
    if actor is None or actor.token is None:
        raise AuthenticationError
    request.auth = actor  # type: ignore[attr-defined]  # as ninja does
    if token is None:
        request_limits.count(request_limits.FETCH, actor.token.pk)
        by_token.remember(actor.token)
    session, actor = startable(request, session_id, Action.TAKE_CREDENTIALS)
    return _rendered(_revealed(session, actor, form, until), session, form)


def _rendered(credentials: AwsCredentials, session: AwsSession, form: str) -> str:
    snippet = Snippet(
        credentials=credentials,
        profile=session.profile,
        region=session.region,
        endpoint_url="",
        credentials_url="",
        account=account_of(session),
    )
    return FORMATS[form].render(snippet)


def _revealed(session: AwsSession, actor: Actor, form: str, until: float) -> AwsCredentials:
    """Open a session's credentials; wait a moment for what a worker is issuing.

    Raises `ApiError`, or what `reveal` raises.
    """
    assert actor.token is not None
    via = f"token {actor.token.name}"
    while True:
        try:
            return reveal(session, actor, form=form, via=via, at_least=LEAST_LIFE)
        except NotYours as lost:
            raise lost.why from None
        except Preparing as preparing:
            # The first fetch of this token since the session was started: later ones find it done.
            tasks.wake_for_start()
            state, delivery = preparing.state, preparing.delivery
            is_done = partial(is_prepared, delivery)
        except NotReady as not_ready:
            state = not_ready.state
            is_done = partial(_is_issued, session, actor)
        if _may_begin(state, session, actor):
            request_limits.count(request_limits.START, actor.user_id)
            start_session(session, actor)
            tasks.wake_for_start()
            state = State(Status.PENDING)
        has_problem = state.problem is not None and state.problem.code != MOVING.code
        if state.status is not Status.PENDING or has_problem or not _wait(is_done, until):
            raise refusal(state)


def _may_begin(state: State, session: AwsSession, actor: Actor) -> bool:
    """Tell whether a tool's asking starts a session.

    Not what an edit has ended: nobody becomes somebody else unasked.
    """
    return (
        state.status is Status.INACTIVE
        and state.problem is None
        and can(actor, Action.START, session)
        and not is_orphaned(session)
    )


def _is_issued(session: AwsSession, actor: Actor) -> bool:
    """Tell whether a member's credential can be delivered, or never will be without a person."""
    started = Activation.objects.filter(session=session, user=actor.user)
    found = started.values_list("credential__expires_at", "credential__problem").first()
    if found is None:
        return True
    expires_at, problem = found
    if problem is not None and not problem.retrying:
        return True
    return expires_at is not None and expires_at > database_now() + LEAST_LIFE


def _wait(is_there: Callable[[], bool], until: float) -> bool:
    """Wait until something is there, for a moment at the most; tell whether it is."""
    if not _waiting.acquire(blocking=False):
        return False
    try:
        while time.monotonic() < until:
            time.sleep(LOOK_EVERY_SECONDS)
            if is_there():
                return True
    finally:
        _waiting.release()
    return False


def refusal(state: State) -> ApiError:
    """Say why there are no credentials: 503 with Retry-After for what passes, else 409."""
    problem = state.problem
    if state.status is Status.INACTIVE:
        said = (
            f"{problem.message} {problem.check}"
            if problem
            else "You have not started this session, and this token may not: start it on its page."
        )
        return ApiError(409, "inactive", said)
    if problem is None:
        return ApiError(
            503,
            "pending",
            "The credentials are being issued. Try again in a moment.",
            headers=_after(1),
        )
    said = f"Hop {problem.hop}: {problem.message} {problem.check}"
    if problem.retrying:
        return ApiError(503, problem.code, said, headers=_after(5))
    return ApiError(409, problem.code, said)


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
