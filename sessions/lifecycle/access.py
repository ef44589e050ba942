"""Whom a session is open to, and the groups that this can be said by."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from sessions import ledger
from sessions.ledger import Entry
from sessions.lifecycle.authority import Actor, lock_team_for, name_of
from sessions.lifecycle.closed_roles import Let, check_opening
from sessions.lifecycle.refused import NotThere, Refused
from sessions.lifecycle.rights import settle
from sessions.lifecycle.versions import expect
from sessions.models import (
    AssumerLink,
    AwsSession,
    EventKind,
    Membership,
    Right,
    SessionGrant,
    Team,
    TeamGroup,
)
from sessions.policy import Action, cut_off


@dataclass(frozen=True)
class Audience:
    """Everyone of the team, or only these people and groups."""

    everyone: bool = True
    members: list[Membership] = field(default_factory=list)
    groups: list[TeamGroup] = field(default_factory=list)

    def named(self) -> set[Let] | None:
        """List who it is by their ids; None: everyone."""
        if self.everyone:
            return None
        return {*((each.pk, None) for each in self.members), *((None, each.pk) for each in self.groups)}

    def as_event(self) -> dict[str, Any]:
        if self.everyone:
            return {"everyone": True}
        return {
            "everyone": False,
            "people": sorted(member.user.get_username() for member in self.members),
            "groups": sorted(group.name for group in self.groups),
        }


@dataclass(frozen=True)
class Access:
    """Who may start a session, and who may assume further roles from it."""

    start: Audience
    assume: Audience


def access_of(session: AwsSession) -> Access:
    """As it is stored now."""
    grants = list(SessionGrant.objects.filter(session=session).select_related("member__user", "group"))

    def audience(right: Right, everyone: bool) -> Audience:
        mine = [grant for grant in grants if grant.right == right]
        return Audience(
            everyone,
            [grant.member for grant in mine if grant.member],
            [grant.group for grant in mine if grant.group],
        )

    return Access(
        audience(Right.START, session.open_to_start), audience(Right.ASSUME, session.open_to_assume)
    )


@transaction.atomic(durable=True)
def set_access(session: AwsSession, access: Access, actor: Actor, *, seen: int | None = None) -> None:
    """Opens or closes a session. Who loses the right loses what they have running; the rest is untouched.

    `seen`: the version of its access that this was made from. Raises `Changed` if there is another by now, and `Refused` for
    people and groups of another team, and where its creator would let somebody into a role that others have closed.
    """
    team = lock_team_for(actor, session.team_id, Action.SHARE, session)
    expect(session.access_version, seen)
    if isinstance(actor, Membership):
        check_opening(session, actor, access.start.named())
    ledger.append(team.pk, write_access(team, session, access, actor))


def write_access(team: Team, session: AwsSession, access: Access, actor: Actor) -> list[Entry]:
    """Store whom a session is open to, and end what nobody has a right to any more; return the lines for the ledger.

    For a caller that holds the team's row. Raises `Refused` for people and groups of another team.
    """
    for audience in (access.start, access.assume):
        teams = {member.team_id for member in audience.members} | {group.team_id for group in audience.groups}
        if teams - {team.pk}:
            raise Refused("", "Choose people and groups of the session's own team.")
    built_on = AssumerLink.objects.filter(assumer=session).values("pk")
    dead_before = cut_off([team.pk], among=built_on)
    AwsSession.objects.filter(pk=session.pk).update(
        open_to_start=access.start.everyone,
        open_to_assume=access.assume.everyone,
        access_version=F("access_version") + 1,
    )
    session.access_version += 1
    session.open_to_start, session.open_to_assume = access.start.everyone, access.assume.everyone
    SessionGrant.objects.filter(session=session).delete()
    SessionGrant.objects.bulk_create(
        [
            *_grants(session, Right.START, access.start),
            *_grants(session, Right.ASSUME, access.assume),
        ]
    )
    cut = AwsSession.objects.filter(pk__in=cut_off([team.pk], among=built_on) - dead_before)
    data = {
        "start": access.start.as_event(),
        "assume": access.assume.as_event(),
        "cut_off": sorted(cut.values_list("alias", flat=True)),
    }
    told = Entry(EventKind.ACCESS_CHANGED, name_of(actor), session, data)
    return [told, *settle(team, name_of(actor), sessions=[session.pk])]


def _grants(session: AwsSession, right: Right, audience: Audience) -> Iterable[SessionGrant]:
    if audience.everyone:
        return
    for member in audience.members:
        yield SessionGrant(session=session, right=right, member=member)
    for group in audience.groups:
        yield SessionGrant(session=session, right=right, group=group)


def save_group(
    by: Membership,
    name: str,
    members: Iterable[Membership],
    group: TeamGroup | None = None,
    *,
    seen: int | None = None,
) -> TeamGroup:
    """Makes a group, or changes its name and people. Who leaves it loses what it opened to them. Raises `Refused`."""
    chosen = list(members)
    try:
        with transaction.atomic(durable=True):
            team = lock_team_for(by, by.team_id, Action.MANAGE_PEOPLE)
            creating = group is None
            if group is None:
                group = TeamGroup(team=team)
            else:
                group = _group_again(group)
                expect(group.version, seen)
                group.version += 1
            if group.team_id != team.pk or any(each.team_id != team.pk for each in chosen):
                raise Refused("members", "Choose people of your own team.")
            group.name = name
            group.save(force_insert=creating)
            concerned = {*group.members.values_list("user", flat=True), *(each.user_id for each in chosen)}
            group.members.set(chosen)
            kind = EventKind.GROUP_CREATED if creating else EventKind.GROUP_CHANGED
            data = {
                "group_id": str(group.pk),
                "name": name,
                "people": sorted(each.user.get_username() for each in chosen),
            }
            actor = by.user.get_username()
            ended = settle(team, actor, people=concerned)
            ledger.append(team.pk, [Entry(kind, actor, data=data), *ended])
            return group
    except IntegrityError as error:
        if "group_name" in str(error):
            raise Refused("name", f"The team already has a group called “{name}”.") from None
        raise


def _group_again(group: TeamGroup) -> TeamGroup:
    fresh = TeamGroup.objects.filter(pk=group.pk).first()
    if fresh is None:
        raise NotThere("", f"The group “{group.name}” was deleted meanwhile.")
    return fresh


@transaction.atomic(durable=True)
def delete_group(group: TeamGroup, actor: Actor) -> None:
    """Deletes a group, and with it what it opened to its people."""
    team = lock_team_for(actor, group.team_id, Action.MANAGE_PEOPLE)
    data = {"group_id": str(group.pk), "name": group.name}
    people = list(group.members.values_list("user", flat=True))
    group.delete()
    ended = settle(team, name_of(actor), people=people)
    ledger.append(team.pk, [Entry(EventKind.GROUP_DELETED, name_of(actor), data=data), *ended])
