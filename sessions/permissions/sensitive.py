"""Decide whether credentials of a sensitive session may leave now: the one rule for every way out.

On a page, the person has confirmed with a passkey or password within five minutes. By token, which
nobody can ask, only if the team's policy lets tokens.
"""

from sessions.actors import Actor
from sessions.exceptions import RightLost
from sessions.models import AwsSession

CONFIRM = "“{alias}” is sensitive: confirm with a passkey or your password before each delivery."
NO_TOKENS = (
    "“{alias}” is sensitive: tokens get no credentials of it. Get them on the session's page, where"
    " you confirm with a passkey or password."
)


class Sensitive(RightLost):
    """Refuse a delivery of a sensitive session that nobody has confirmed."""


def check_sensitive(session: AwsSession, actor: Actor) -> None:
    """Check that a session's credentials may leave to that actor now. Raises `Sensitive`.

    For a caller that has read both again under the lock.
    """
    if not session.is_sensitive:
        return
    if actor.token is None:
        if not actor.confirmed:
            raise Sensitive("", CONFIRM.format(alias=session.alias))
        return
    policy = getattr(actor.team, "policy", None)
    if policy is None or not policy.tokens_take_sensitive:
        raise Sensitive("", NO_TOKENS.format(alias=session.alias))
