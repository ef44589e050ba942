"""Describe the API once for all who ask: every answer with its headers, in OpenAPI."""

from collections.abc import Iterator
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from sessions.middleware.api_errors import PROBLEM

Described = dict[str, Any]

RETRY_AFTER = {
    "description": "Seconds to wait before the request is sent again.",
    "schema": {"type": "integer", "minimum": 1},
}
ETAG = {
    "description": "The version, to be sent as `If-Match` with a change.",
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
}
LINK = {
    "description": 'The address of the next part, with rel="next"; none with the last one.',
    "schema": {"type": "string"},
}
WWW_AUTHENTICATE = {"schema": {"type": "string"}}
REPLAYED = {
    "description": "“true” where the answer was given before, to the same Idempotency-Key.",
    "schema": {"type": "string", "enum": ["true"]},
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "What is sent again with the same key within 24 hours is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "The `ETag` of what was read: 412 where there is another version by now.",
    "schema": {"type": "string"},
}


def tells_version(*statuses: int) -> Described:
    """Describe an operation whose good answers carry the version of what they show."""
    return {
        "responses": {status: {"headers": {"ETag": dict(ETAG)}} for status in statuses or (200,)}
    }


def takes_version(*statuses: int) -> Described:
    """Describe an operation that compares `If-Match` with a version, and answers the new one."""
    return {"parameters": [dict(IF_MATCH)], **tells_version(*statuses)}


class Api(NinjaAPI):
    """Describe the API once, since anybody may ask and it takes a quarter second."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._described: dict[str, OpenAPISchema] = {}

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        if prefix not in self._described:
            document = super().get_openapi_schema(path_prefix=prefix)
            for method, operation in _operations(document):
                _complete(method, operation)
            self._described[prefix] = document
        return self._described[prefix]


def _operations(document: Described) -> Iterator[tuple[str, Described]]:
    for methods in document["paths"].values():
        yield from methods.items()


def _complete(method: str, operation: Described) -> None:
    """Add to an operation what all of its kind have: headers, and the type of problem objects."""
    parameters = operation.setdefault("parameters", [])
    if method == "post":
        parameters.append(IDEMPOTENCY_KEY)
    is_list = any(each["name"] == "cursor" for each in parameters)
    for status, answer in operation["responses"].items():
        headers = answer.setdefault("headers", {})
        if int(status) < 300:
            if method == "post":
                headers["Idempotent-Replayed"] = REPLAYED
            if is_list:
                headers["Link"] = LINK
        elif "application/json" in answer.get("content", {}):
            answer["content"][PROBLEM] = answer["content"]["application/json"]
        if int(status) in {429, 503}:
            headers["Retry-After"] = RETRY_AFTER
        if int(status) == 401:
            headers["WWW-Authenticate"] = WWW_AUTHENTICATE
        if not headers:
            del answer["headers"]
