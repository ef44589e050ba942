"""Ask the API in tests, and write what it takes."""

import json
from http import HTTPStatus

from django.test import Client

# What a refusal is made of; `fields` only where one is at fault.
PROBLEM = {"code", "message", "type", "title", "status", "detail"}


def is_problem(body, status):
    """Check that a refusal says the same in our names and in those of RFC 9457."""
    assert set(body) - {"fields"} == PROBLEM
    assert body["code"]
    assert body["message"] == body["detail"]
    assert (body["status"], body["title"]) == (status, HTTPStatus(status).phrase)
    return body


class Api:
    """Ask the API as a tool with a token does; without one, as nobody."""

    def __init__(self, token):
        self.client = Client()
        self.headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}

    def __call__(self, method, path, body=None, **headers):
        return self.client.generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={**self.headers, **headers},
        )


def chained(house, **changes):
    """Return the body that creates a chained session."""
    return {
        "kind": "iam-role-chained",
        "alias": "Deploy",
        "profile": "deploy",
        "region": "eu-west-1",
        "role_arn": house.role_arn("Deploy"),
        "role_session_name": "{username}",
        "assumer": str(house.root.pk),
        **changes,
    }
