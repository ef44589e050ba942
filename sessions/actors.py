"""Say who acts: a member, on a page or by a token; or somebody by name, as the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sessions.models import Membership, Role, Team, Token, User


@dataclass(frozen=True)
class Actor:
    """Act as a member of a team.

    `token`: what the request was authenticated by, if it was a token; it narrows what they may do.
    `confirmed`: on a page, the person has said again within five minutes who they are.
    """

    member: Membership
    token: Token | None = None
    confirmed: bool = False

    @property
    def username(self) -> str:
        """Return the name that the ledger gives the actor."""
        return self.user.get_username()

    @property
    def user(self) -> User:
        return self.member.user

    @property
    def user_id(self) -> int:
        return self.member.user_id

    @property
    def team(self) -> Team:
        return self.member.team

    @property
    def team_id(self) -> UUID:
        return self.member.team_id

    @property
    def is_admin(self) -> bool:
        return self.member.role == Role.ADMIN

    @property
    def limited_to(self) -> Mapping[UUID, str] | None:
        """Return the sessions, {id: alias}, that the token is bound to; None without such a limit.

        Empty where all of them are deleted.
        """
        return self.token.bound_to if self.token is not None and self.token.is_bound else None


@dataclass(frozen=True)
class NamedActor:
    """Act by name alone, as one whose right no team can end.

    The operator, the clock, a worker, the identity provider; a person in a matter of their own,
    such as a new password; or whoever decided earlier what a worker carries out now.
    """

    username: str


AnyActor = Actor | NamedActor

CLOCK = NamedActor("clock")
OPERATOR = NamedActor("manage.py")
WORKER = NamedActor("worker")
