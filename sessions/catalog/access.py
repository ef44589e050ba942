"""Change who may use a session, and the groups that say so."""

from collections.abc import Collection, Iterable, Sequence

from django.db import IntegrityError, transaction
from django.db.models import F

from sessions import ledger
from sessions.activations.revocation import end_unauthorized
from sessions.actors import Actor, AnyActor
from sessions.catalog.audiences import Access, Audience, access_of
from sessions.catalog.closed_roles import check_opening, is_admins, keep_closed
from sessions.exceptions import NotThere, Refused
from sessions.ledger import Entry
from sessions.ledger.events.people import GroupChanged, GroupCreated, GroupDeleted
from sessions.ledger.events.sessions import AccessChanged
from sessions.locks.team_lock import lock_team_by, lock_team_for
from sessions.locks.versions import expect
from sessions.models import (
    AssumerLink,
    AwsSession,
    GrantedRight,
    Membership,
    SessionGrant,
    Team,
    TeamGroup,
)
from sessions.permissions import Action, orphaned_links


@transaction.atomic(durable=True)
def set_access(
    session: AwsSession, access: Access, actor: AnyActor, *, seen: int | None = None
) -> None:
    """Set who may use a session, in a transaction of its own: see `change_access`."""
    change_access(session, access, actor, seen=seen)


def change_access(
    session: AwsSession, access: Access, actor: AnyActor, *, seen: int | None = None
) -> None:
    """Set who may use a session, in the caller's transaction.

    People who lose the right lose their running sessions; all others are untouched.

    `seen`: the version of its access that this was made from. Raises `Changed` if there is another
    by now, and `Refused` for people and groups of another team, and where its creator would let
    somebody into a role that others have closed.
    """
    team, actor = lock_team_by(actor, session.team_id, Action.SHARE, session)
    expect(session.access_version, seen)
    if isinstance(actor, Actor):
        for right in GrantedRight:
            check_opening(session, actor, right, access.to(right))
    before = access_of(session)
    entries = write_accesses(team, [(session, before, access)], actor)
    if session.is_chained and is_admins(actor):
        keep_closed([(session, before, access)])
    ledger.append(team.pk, entries)


def write_accesses(
    team: Team, changes: Sequence[tuple[AwsSession, Access, Access]], actor: AnyActor
) -> list[Entry]:
    """Store sessions' access, as it was and is to be; return the events.

    It ends what nobody has a right to any more. For a caller that holds the team's row. Raises
    `Refused` for people and groups of another team.
    """
    wanted = [(session, access) for session, _, access in changes]
    audiences = [access.to(right) for _, access in wanted for right in GrantedRight]
    if {each for audience in audiences for each in audience.teams()} - {team.pk}:
        raise Refused("", "Choose people and groups of the session's own team.")
    _require_there(
        {each for audience in audiences for each in audience.members},
        {each for audience in audiences for each in audience.groups},
    )
    ids = [session.pk for session, _ in wanted]
    built_on = AssumerLink.objects.filter(assumer_id__any_of=ids)
    orphaned_before = orphaned_links([team.pk], among=built_on.values("pk"))
    for start, assume in {(access.start.everyone, access.assume.everyone) for _, access in wanted}:
        alike = [
            session.pk
            for session, access in wanted
            if (access.start.everyone, access.assume.everyone) == (start, assume)
        ]
        AwsSession.objects.filter(pk__any_of=alike).update(
            open_to_start=start, open_to_assume=assume, access_version=F("access_version") + 1
        )
    SessionGrant.objects.filter(session_id__any_of=ids).delete()
    SessionGrant.objects.bulk_create(
        grant
        for session, access in wanted
        for right in GrantedRight
        for grant in _grants(session, right, access.to(right))
    )
    orphaned_ids = orphaned_links([team.pk], among=built_on.values("pk"))
    cut = list(
        AssumerLink.objects.filter(pk__any_of=orphaned_ids - orphaned_before)
        .order_by("session__alias")
        .values_list("assumer_id", "session__alias")
    )
    entries = []
    for session, before, access in changes:
        session.access_version += 1
        session.open_to_start, session.open_to_assume = (
            access.start.everyone,
            access.assume.everyone,
        )
        changed = AccessChanged(
            start=access.start.as_event(),
            assume=access.assume.as_event(),
            cut_off=tuple(alias for assumer, alias in cut if assumer == session.pk),
        ).from_what_was(before.as_event())
        entries.append(Entry(changed, actor, session))
    return [*entries, *end_unauthorized(team, actor, sessions=ids, orphaned_ids=orphaned_ids)]


def _require_there(members: Collection[Membership], groups: Collection[TeamGroup] = ()) -> None:
    """Check that whoever is to be let in was not removed meanwhile. Raises `Refused`.

    Under the team's lock.
    """
    people = Membership.objects.in_bulk([each.pk for each in members]) if members else {}
    for member in members:
        if member.pk not in people:
            raise Refused("", f"{member.user.get_username()} is no longer in the team.")
    there = TeamGroup.objects.in_bulk([each.pk for each in groups]) if groups else {}
    for group in groups:
        if group.pk not in there:
            raise Refused("", f"The group “{group.name}” was deleted meanwhile.")


def _grants(session: AwsSession, right: GrantedRight, audience: Audience) -> Iterable[SessionGrant]:
    if audience.everyone:
        return
    for member in audience.members:
        yield SessionGrant(session=session, right=right, member=member)
    for group in audience.groups:
        yield SessionGrant(session=session, right=right, group=group)


@transaction.atomic(durable=True)
def save_group(
    actor: Actor,
    name: str,
    members: Iterable[Membership],
    group: TeamGroup | None = None,
    *,
    seen: int | None = None,
) -> TeamGroup:
    """Create or change a group in a transaction of its own: see `write_group`."""
    return write_group(actor, name, members, group, seen=seen)


def write_group(
    actor: Actor,
    name: str,
    members: Iterable[Membership],
    group: TeamGroup | None = None,
    *,
    seen: int | None = None,
) -> TeamGroup:
    """Create a group, or change its name and people, in the caller's transaction.

    Who leaves it loses what it opened to them. Raises `Refused`.
    """
    chosen = list(members)
    try:
        with transaction.atomic():
            team = lock_team_for(actor, actor.team_id, Action.MANAGE_PEOPLE)
            creating, was = group is None, {}
            if group is None:
                group = TeamGroup(team=team)
            else:
                group = _group_again(group)
                expect(group.version, seen)
                group.version += 1
                was = {"name": group.name, "people": _people_of(group)}
            if group.team_id != team.pk or any(each.team_id != team.pk for each in chosen):
                raise Refused("members", "Choose people of your own team.")
            _require_there(chosen)
            group.name = name
            group.save(force_insert=creating)
            concerned = {
                *group.members.values_list("user", flat=True),
                *(each.user_id for each in chosen),
            }
            group.members.set(chosen)
            kind = GroupCreated if creating else GroupChanged
            saved = kind(
                group_id=str(group.pk),
                name=name,
                people=tuple(sorted(each.user.get_username() for each in chosen)),
            )
            if isinstance(saved, GroupChanged):
                saved = saved.from_what_was(was)
            ended = end_unauthorized(team, actor, people=concerned)
            ledger.append(team.pk, [Entry(saved, actor), *ended])
            return group
    except IntegrityError as error:
        if "group_name" in str(error):
            raise Refused("name", f"The team already has a group called “{name}”.") from None
        raise


def _people_of(group: TeamGroup) -> list[str]:
    return sorted(group.members.values_list("user__username", flat=True))


def _group_again(group: TeamGroup) -> TeamGroup:
    fresh = TeamGroup.objects.filter(pk=group.pk).first()
    if fresh is None:
        raise NotThere("", f"The group “{group.name}” was deleted meanwhile.")
    return fresh


@transaction.atomic(durable=True)
def delete_group(group: TeamGroup, actor: AnyActor) -> None:
    """Delete a group, and with it what it opened to its people."""
    team = lock_team_for(actor, group.team_id, Action.MANAGE_PEOPLE)
    was = {"name": group.name, "people": _people_of(group)}
    deleted = GroupDeleted(group_id=str(group.pk), name=group.name, before=was)
    people = list(group.members.values_list("user", flat=True))
    group.delete()
    ended = end_unauthorized(team, actor, people=people)
    ledger.append(team.pk, [Entry(deleted, actor), *ended])
