"""Raise these for what the rules do not allow."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import Http404


@dataclass
class Refused(Exception):
    """Report a change that the rules do not allow, and its form field.

    "" stands for the whole form.
    """

    field: str
    message: str


class RightLost(Refused, PermissionDenied):
    """Refuse a change that the actor was allowed when the request came in.

    Under the lock it is not allowed any more.
    """


class NotThere(Refused, Http404):
    """Refuse what is about a session that was deleted since the request came in."""


class ActorGone(NotThere):
    """Refuse an actor who was a member, or a valid token, when the request came in.

    Under the lock they are neither.
    """
