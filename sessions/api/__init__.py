"""The API under /api/v1/: the same forms, permissions and events as the pages, with a bearer token instead of a cookie."""

from sessions.api import access, credentials, policy, roots, sessions
from sessions.api.base import api

__all__ = ["access", "api", "credentials", "policy", "roots", "sessions"]
