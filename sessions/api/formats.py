"""Tell which formats credentials come in, and set up a computer without a browser."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse

from sessions.api.base import ERRORS, ApiError, api, caller
from sessions.api.schemas import FormatOut, one_of
from sessions.delivery.several import config_of
from sessions.permissions import Action, NotAllowed, can
from sessions.snippets import FORMATS

AWS_CONFIG = "aws-config"
ConfigFormat = Annotated[str, one_of(AWS_CONFIG)]


@api.get(
    "/formats",
    response={200: list[FormatOut], **ERRORS},
    url_name="formats",
    summary="List the formats of credentials",
)
def formats(request: HttpRequest) -> list[FormatOut]:
    """List the formats of `GET /sessions/{id}/credentials` and of the pages, in their order.

    One that is not `secret` holds no credentials.
    """
    return [FormatOut.model_validate(each, from_attributes=True) for each in FORMATS.values()]


@api.get(
    "/config",
    response={200: Any, **ERRORS},
    url_name="config",
    summary="Get a config file of all your sessions",
    openapi_extra={"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}},
)
def config(request: HttpRequest, format: ConfigFormat = AWS_CONFIG) -> HttpResponse:
    """Get a ~/.aws/config that sets a computer up without a browser.

    It has a profile for each session that the token may take credentials of, started or not, and no
    secret: each profile asks for current credentials by the token in its header file. A profile's
    name that several sessions have gets the beginning of the session's id, but for the first.
    """
    actor = caller(request)
    if format != AWS_CONFIG:
        raise ApiError(
            422,
            "invalid",
            f"There is no format {format!r} of a config file.",
            {"format": [f"One of: {AWS_CONFIG}."]},
        )
    if not can(actor, Action.TAKE_CREDENTIALS):
        raise NotAllowed(actor, Action.TAKE_CREDENTIALS)
    text = config_of(actor, request.build_absolute_uri("/"))
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
