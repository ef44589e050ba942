"""Tell which formats credentials come in."""

from django.http import HttpRequest

from sessions.api.base import ERRORS, api
from sessions.api.schemas import FormatOut
from sessions.snippets import FORMATS


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
