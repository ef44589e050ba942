"""Manage the team's groups, and its open invitations."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Status as Answer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller_who_may, etag, seen_version
from sessions.api.document import takes_version, tells_version
from sessions.api.forms import do, valid
from sessions.api.idempotency import shown_once
from sessions.api.paging import Cursor, Limit, link_next, page_by, page_newest
from sessions.catalog.access import delete_group, save_group
from sessions.db.clock import database_now
from sessions.forms.people import GroupForm, InviteForm
from sessions.models import Invitation, Membership, Role, TeamGroup
from sessions.people.invitations import INVITATION_DAYS, invite, revoke_invitation
from sessions.permissions import Action

# A NUL is in no name, and PostgreSQL takes none as text.
Username = Annotated[str, StringConstraints(max_length=150, pattern=r"^[^\x00]*$")]


class GroupOut(BaseModel):
    """Show a group with the usernames of its people."""

    id: UUID
    version: int
    name: str
    people: list[str]

    @classmethod
    def of(cls, group: TeamGroup) -> dict[str, Any]:
        people = sorted(member.user.get_username() for member in group.members.all())
        return {"id": group.pk, "version": group.version, "name": group.name, "people": people}


class GroupsOut(BaseModel):
    """Show a part of the groups by name; `cursor` is for the next part."""

    groups: list[GroupOut]
    cursor: str | None = None


class GroupIn(BaseModel):
    """Name a group and its people, by their usernames."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    people: list[Username] = Field(default_factory=list, max_length=1000)


class GroupPatch(BaseModel):
    """Take another name, other people, or both; what is left out or null stays."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)] | None = None
    people: list[Username] | None = Field(None, max_length=1000)
    version: int | None = None


@api.get("/groups", response={200: GroupsOut, **ERRORS}, summary="List the team's groups")
def list_groups(
    request: HttpRequest, response: HttpResponse, cursor: Cursor = "", limit: Limit = 50
) -> Any:
    """List the groups to admins and auditors."""
    actor = caller_who_may(request, Action.SEE_PEOPLE)
    found = TeamGroup.objects.filter(team=actor.team_id).prefetch_related("members__user")
    groups, after = page_by(found, "name", cursor, limit)
    return {
        "groups": [GroupOut.of(each) for each in groups],
        "cursor": link_next(request, response, after),
    }


@api.post(
    "/groups",
    response={201: GroupOut, **ERRORS},
    summary="Create a group",
    openapi_extra=tells_version(201),
)
def create_group(request: HttpRequest, payload: GroupIn) -> Any:
    """Create a group of the team's people."""
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    name, people = _checked(actor, payload.name, payload.people)
    group = do(lambda: save_group(actor, name, people))
    response = api.create_response(request, GroupOut.of(group), status=201)
    response.headers["ETag"] = etag(group.version)
    return response


@api.get(
    "/groups/{uuid:group_id}",
    response={200: GroupOut, **ERRORS},
    summary="One group",
    openapi_extra=tells_version(),
)
def get_group(request: HttpRequest, response: HttpResponse, group_id: UUID) -> Any:
    """Read a group; `ETag` is its version."""
    group = _group(caller_who_may(request, Action.SEE_PEOPLE), group_id)
    response.headers["ETag"] = etag(group.version)
    return GroupOut.of(group)


@api.patch(
    "/groups/{uuid:group_id}",
    response={200: GroupOut, **ERRORS},
    summary="Change a group's name or people",
    openapi_extra=takes_version(),
)
def patch_group(
    request: HttpRequest, response: HttpResponse, group_id: UUID, payload: GroupPatch
) -> Any:
    """Change a group; who leaves it loses at once what it opened to them."""
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    group = _group(actor, group_id)
    seen = seen_version(request, group.version, payload.version)
    stored = GroupOut.of(group)
    wanted = stored["people"] if payload.people is None else payload.people
    name, people = _checked(actor, stored["name"] if payload.name is None else payload.name, wanted)
    group = do(lambda: save_group(actor, name, people, group, seen=seen))
    tasks.wake_after_change()
    response.headers["ETag"] = etag(group.version)
    return GroupOut.of(_group(actor, group_id))


@api.delete("/groups/{uuid:group_id}", response={204: None, **ERRORS}, summary="Delete a group")
def remove_group(request: HttpRequest, group_id: UUID) -> Any:
    """Delete a group, and with it what it opened to its people."""
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    group = _group(actor, group_id)
    do(lambda: delete_group(group, actor))
    tasks.wake_after_change()
    return Answer(204, None)


def _group(actor: Actor, group_id: UUID) -> TeamGroup:
    found = TeamGroup.objects.filter(team=actor.team_id).prefetch_related("members__user")
    group = found.filter(pk=group_id).first()
    if group is None:
        raise Http404
    return group


def _checked(actor: Actor, name: str, people: list[str]) -> tuple[str, list[Membership]]:
    """Return the name as the form takes it, and the members of these usernames."""
    members = list(
        Membership.objects.filter(team=actor.team_id, user__username__in=people).select_related(
            "user"
        )
    )
    if unknown := set(people) - {each.user.get_username() for each in members}:
        text = f"Not in the team: {', '.join(sorted(unknown))}."
        raise ApiError(422, "invalid", text, {"people": [text]})
    said = valid(GroupForm, {"name": name, "members": []}, team=actor.team)
    return said["name"], members


class InvitationOut(BaseModel):
    """Show an open invitation; its link was shown once, to whom it was made for."""

    id: UUID
    role: Role
    note: str
    invited_by: str
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: Invitation) -> dict[str, Any]:
        names = cls.model_fields
        return {"id": row.pk} | {name: getattr(row, name) for name in names if name != "id"}


class InvitedOut(InvitationOut):
    """Show a new invitation with its link, which lets one person in; it is shown this once."""

    link: str


class InvitationsOut(BaseModel):
    """Show a part of the open invitations, the newest first; `cursor` is for the next part."""

    invitations: list[InvitationOut]
    cursor: str | None = None


class InviteIn(BaseModel):
    """Say what the invited person will be, whom it is for, and for how many days it is good."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    note: Annotated[str, Field(max_length=100)] = ""
    days: Annotated[int, Field(ge=1, le=30)] = INVITATION_DAYS


@api.get("/invitations", response={200: InvitationsOut, **ERRORS}, summary="List open invitations")
def list_invitations(
    request: HttpRequest, response: HttpResponse, cursor: Cursor = "", limit: Limit = 50
) -> Any:
    """List invitations that still let somebody in, to admins and auditors."""
    actor = caller_who_may(request, Action.SEE_PEOPLE)
    found = Invitation.objects.filter(
        team=actor.team_id, ended_at=None, expires_at__gt=database_now()
    )
    invitations, after = page_newest(found, "created_at", cursor, limit)
    return {
        "invitations": [InvitationOut.of(each) for each in invitations],
        "cursor": link_next(request, response, after),
    }


@api.post("/invitations", response={201: InvitedOut, **ERRORS}, summary="Invite a person")
@shown_once
def create_invitation(request: HttpRequest, payload: InviteIn) -> Any:
    """Invite a person. The answer holds the link, which is shown once and works once."""
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    said = valid(InviteForm, payload.model_dump())
    invitation, code = do(lambda: invite(actor, Role(said["role"]), said["note"], said["days"]))
    # After the #, so that the code is in no log and no Referer.
    link = f"{request.build_absolute_uri(reverse('join'))}#{code.reveal()}"
    return Answer(201, InvitationOut.of(invitation) | {"link": link})


@api.delete(
    "/invitations/{uuid:invitation_id}",
    response={204: None, **ERRORS},
    summary="Withdraw an invitation",
)
def withdraw_invitation(request: HttpRequest, invitation_id: UUID) -> Any:
    """Withdraw an invitation; one that was used or has ended stays as it is."""
    actor = caller_who_may(request, Action.MANAGE_PEOPLE)
    invitation = Invitation.objects.filter(pk=invitation_id, team=actor.team_id).first()
    if invitation is None:
        raise Http404
    do(lambda: revoke_invitation(invitation, actor))
    return Answer(204, None)
