"""Say what the API refuses, in one form for all refusals."""

from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, Field


class ApiError(Exception):
    """Answer with something else than was asked for: see `ErrorOut`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: dict[str, list[str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields
        self.headers = headers or {}


class ErrorOut(BaseModel):
    """Describe every answer over 399, a problem object by RFC 9457.

    `code` is for programs, `message` for people, `fields` has the reasons by field. `type`,
    `title`, `status` and `detail` are the names of the RFC: `detail` is the message.
    """

    code: str
    message: str
    fields: dict[str, list[str]] | None = None
    type: str = "about:blank"
    title: Annotated[str, Field(examples=[HTTPStatus.NOT_FOUND.phrase])]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str


ERRORS = {
    400: ErrorOut,
    401: ErrorOut,
    403: ErrorOut,
    404: ErrorOut,
    409: ErrorOut,
    412: ErrorOut,
    413: ErrorOut,
    415: ErrorOut,
    422: ErrorOut,
    429: ErrorOut,
    503: ErrorOut,
}
