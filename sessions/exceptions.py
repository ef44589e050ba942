"""Raise these for what the rules do not allow."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import Http404


@dataclass
class Refused(Exception):
    """A change that the rules do not allow, and the form field it is about ("" for the whole
    form).
    """

    field: str
    message: str


class RightLost(Refused, PermissionDenied):
    """Refuse what the actor was allowed when the request came in, and is not allowed under the
    lock.
    """


class NotThere(Refused, Http404):
    """Refuse what is about a session that was deleted since the request came in."""


class ActorGone(NotThere):
    """Refuse who was a member, or a valid token, when the request came in, and is neither under the
    lock.
    """
