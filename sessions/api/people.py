"""Manage the team's people by a token of an admin that has the scope for it."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Status as Answer
from pydantic import BaseModel, ConfigDict

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, api, caller_who_may, etag, seen_version
from sessions.api.document import takes_version, tells_version
from sessions.api.forms import do, valid
from sessions.api.paging import Cursor, Limit, link_next, page_by
from sessions.api.schemas import one_of
from sessions.forms.people import AwsNameForm, people_of
from sessions.ledger.held import held_by, name_of_former_member
from sessions.models import AwsName, Membership, Role
from sessions.people.memberships import (
    change_role,
    disable_member,
    enable_member,
    remove_member,
)
from sessions.people.people import rename_in_cloudtrail
from sessions.people.removals import readmit, removals_of
from sessions.permissions import Action

HELD_SHOWN = 50
LARGEST_NUMBER = 2**63
RoleName = Annotated[str, one_of(*Role.values)]


class PersonOut(BaseModel):
    """Show a member of the team.

    `aws_name` is their name in CloudTrail. `suspended_at`: since when an admin keeps them out.
    `by_groups`: an identity provider's groups say what they are.
    """

    id: int
    version: int
    username: str
    role: RoleName
    aws_name: str
    suspended_at: datetime | None
    by_groups: bool
    groups: list[str]

    @classmethod
    def of(cls, member: Membership) -> dict[str, Any]:
        return {
            "id": member.user_id,
            "version": member.version,
            "username": member.user.get_username(),
            "role": member.role,
            "aws_name": member.user.aws_name,
            "suspended_at": member.disabled_at,
            "by_groups": member.from_sso,
            "groups": sorted(group.name for group in member.groups.all()),
        }


class PeopleOut(BaseModel):
    """Show a part of the people by username; `cursor` is for the next part."""

    people: list[PersonOut]
    cursor: str | None = None


class NameHeldOut(BaseModel):
    """Show a name that the person has, or had, in CloudTrail."""

    name: str
    held_from: datetime
    held_until: datetime | None


class HeldOut(BaseModel):
    """Show credentials that the person has taken and AWS still accepts, until then."""

    access_key_id: str
    session_alias: str
    session_id: str
    until: datetime
    taken_at: datetime
    via: str


class PersonPageOut(BaseModel):
    """Show a person: a member, or one who was removed while the ledger knows what they took.

    `held`: at most 50 of the credentials in their hands, the longest-lived first; `held_more`:
    there are others. `removed_at`: when an admin removed them.
    """

    id: int
    username: str
    member: PersonOut | None
    removed_at: datetime | None
    names: list[NameHeldOut]
    held: list[HeldOut]
    held_more: bool


class PersonPatch(BaseModel):
    """Take a role, a name in CloudTrail, or both; what is left out or null stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    aws_name: str | None = None
    version: int | None = None


@api.get(
    "/people",
    response={200: PeopleOut, **ERRORS},
    exclude_none=False,
    summary="List the team's people",
)
def list_people(
    request: HttpRequest, response: HttpResponse, cursor: Cursor = "", limit: Limit = 50
) -> Any:
    """List the members, suspended ones as well, to admins and auditors."""
    actor = caller_who_may(request, Action.SEE_PEOPLE)
    everybody = Membership.objects.filter(team=actor.team_id).select_related("user")
    found = everybody.prefetch_related("groups")
    members, after = page_by(found, "user__username", cursor, limit)
    return {
        "people": [PersonOut.of(each) for each in members],
        "cursor": link_next(request, response, after),
    }


@api.get(
    "/people/{int:person_id}",
    response={200: PersonPageOut, **ERRORS},
    summary="One person",
    openapi_extra=tells_version(),
)
def get_person(request: HttpRequest, response: HttpResponse, person_id: int) -> Any:
    """Read a person; `ETag` is the version of a member."""
    actor = caller_who_may(request, Action.SEE_PEOPLE)
    if person_id >= LARGEST_NUMBER:
        raise Http404
    member = people_of(actor.team).filter(user=person_id).first()
    name = member.user.get_username() if member else name_of_former_member(actor.team_id, person_id)
    if not name:
        raise Http404
    if member is not None:
        response.headers["ETag"] = etag(member.version)
    removal = removals_of(actor.team).filter(user=person_id).first()
    held = held_by(actor.team_id, name, HELD_SHOWN + 1)
    names = AwsName.objects.filter(person_id=person_id).order_by("-held_from")
    return {
        "id": person_id,
        "username": name,
        "member": PersonOut.of(member) if member else None,
        "removed_at": removal.at if removal is not None else None,
        "names": list(names.values("name", "held_from", "held_until")),
        "held": [asdict(each) for each in held[:HELD_SHOWN]],
        "held_more": len(held) > HELD_SHOWN,
    }


@api.patch(
    "/people/{int:person_id}",
    response={200: PersonOut, **ERRORS},
    summary="Change a person's role, or their name in CloudTrail",
    openapi_extra=takes_version(),
)
def patch_person(
    request: HttpRequest, response: HttpResponse, person_id: int, payload: PersonPatch
) -> Any:
    """Change a person; a role that can do less ends at once what they have running by it.

    The two are two changes: if the second is refused, the first is made.
    """
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    member = _member(actor, person_id)
    seen = seen_version(request, member.version, payload.version)
    name = payload.aws_name
    if name is not None:
        name = valid(AwsNameForm, {"aws_name": name})["aws_name"]
        do(lambda: rename_in_cloudtrail(member, name, actor, seen=seen))
    if (role := payload.role) is not None:
        seen = None if seen is None else _member(actor, person_id).version
        do(lambda: change_role(member, role, actor, actor.user, seen=seen))
    tasks.wake_after_change()
    return _answer(response, actor, person_id)


@api.delete(
    "/people/{int:person_id}",
    response={204: None, **ERRORS},
    summary="Remove a person from the team",
)
def remove_person(request: HttpRequest, person_id: int) -> Any:
    """Remove a person: what they have running ends, their tokens are revoked.

    Chains of theirs that nobody else may answer for pass to the caller.
    """
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    member = _member(actor, person_id)
    do(lambda: remove_member(member, actor, actor.user))
    tasks.wake_after_change()
    return Answer(204, None)


@api.post(
    "/people/{int:person_id}/suspend",
    response={200: PersonOut, **ERRORS},
    summary="Suspend a person",
    openapi_extra=tells_version(),
)
def suspend_person(request: HttpRequest, response: HttpResponse, person_id: int) -> Any:
    """Keep a person out: what they have running ends, their tokens are revoked."""
    return _change(request, response, person_id, lambda a, m: disable_member(m, a, a.user))


@api.post(
    "/people/{int:person_id}/reinstate",
    response={200: PersonOut, **ERRORS},
    summary="Reinstate a suspended person",
    openapi_extra=tells_version(),
)
def reinstate_person(request: HttpRequest, response: HttpResponse, person_id: int) -> Any:
    """Let a suspended person in again; what was ended stays ended."""
    return _change(request, response, person_id, lambda a, m: enable_member(m, a))


@api.post(
    "/people/{int:person_id}/readmit",
    response={204: None, **ERRORS},
    summary="Let a removed person join again",
)
def readmit_person(request: HttpRequest, person_id: int) -> Any:
    """Lift a removal (404: there is none): groups or an invitation may bring the person back."""
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    if person_id >= LARGEST_NUMBER:
        raise Http404
    removal = removals_of(actor.team).filter(user=person_id).first()
    if removal is None:
        raise Http404
    do(lambda: readmit(removal, actor))
    return Answer(204, None)


def _member(actor: Actor, person_id: int) -> Membership:
    found = people_of(actor.team).select_related("team")
    member = found.filter(user=person_id).first() if person_id < LARGEST_NUMBER else None
    if member is None:
        raise Http404
    return member


def _change(
    request: HttpRequest,
    response: HttpResponse,
    person_id: int,
    act: Callable[[Actor, Membership], object],
) -> Any:
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    member = _member(actor, person_id)
    do(lambda: act(actor, member))
    tasks.wake_after_change()
    return _answer(response, actor, person_id)


def _answer(response: HttpResponse, actor: Actor, person_id: int) -> Any:
    member = _member(actor, person_id)
    response.headers["ETag"] = etag(member.version)
    return PersonOut.of(member)
