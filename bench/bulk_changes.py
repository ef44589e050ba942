"""Make a team whose sessions rest on one hub, and the bulk changes that its people make."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from bench import fixtures
from bench.fixtures import SeededTeam
from sessions.activations import moves
from sessions.activations.ending import end_overdue
from sessions.activations.start_stop import start_sessions, stop_sessions
from sessions.actors import Actor, NamedActor
from sessions.catalog import deletions
from sessions.catalog.access import delete_group, save_group, set_access
from sessions.catalog.audiences import NOBODY, Access, Audience
from sessions.catalog.same_role import close_wider_ways
from sessions.catalog.sessions import Draft, save_session
from sessions.catalog.team_policy import PolicyDraft, save_policy
from sessions.db.clock import database_now
from sessions.models import (
    Activation,
    AssumerLink,
    AwsSession,
    GrantedRight,
    Membership,
    Role,
    SessionGrant,
    TeamGroup,
    TeamPolicy,
    Token,
    User,
)
from sessions.people.memberships import (
    change_role,
    disable_member,
    remove_member,
    set_person_active,
)
from sessions.people.people import add_member, create_person, rename_in_cloudtrail
from sessions.secret import Secret

PASSWORD = "correct horse battery staple"
LONGEST_SECONDS = 10.0


@dataclass
class Scene:
    """Hold a hub and all that rests on it: ada, an admin, and ben have everything started; cal is
    the author of every link to the hub.
    """

    seeded: SeededTeam
    ben: Membership
    cal: Membership

    @property
    def ada(self) -> Membership:
        return self.seeded.member

    @property
    def team_id(self) -> Any:
        return self.ada.team_id

    def session(self, stored: AwsSession) -> AwsSession:
        """Read a session again."""
        return AwsSession.objects.select_related("link", "team").get(pk=stored.pk)

    @property
    def hub(self) -> AwsSession:
        return self.session(self.seeded.middles[0])

    @property
    def root(self) -> AwsSession:
        return self.session(self.seeded.root)

    def leaves(self) -> list[AwsSession]:
        below = AwsSession.objects.filter(link__assumer=self.seeded.middles[0])
        return list(below.select_related("link", "team").order_by("pk"))


def build(sessions: int) -> Scene:
    """Make the team, with everything started."""
    seeded = fixtures.build(sessions, sessions)
    team = seeded.member.team
    ben, cal = (
        add_member(
            team, create_person(name, Secret(PASSWORD)), Role.MEMBER, actor=NamedActor("bench")
        )
        for name in ("ben", "cal")
    )
    for member in (seeded.member, ben):
        fixtures.start_all(replace(seeded, member=member), database_now() + timedelta(minutes=10))
    AssumerLink.objects.filter(assumer=seeded.middles[0]).update(author=cal.user)
    return Scene(seeded, ben, cal)


def follow() -> None:
    """Do what workers and the clock do after a change, until nothing is left."""
    while moves.is_due():
        moves.work_off(LONGEST_SECONDS)
    while deletions.is_due():
        deletions.work_off(LONGEST_SECONDS)
    while end_overdue():
        pass


def stop_all(member: Membership) -> None:
    """End what a member has started."""
    Activation.objects.filter(user=member.user).delete()


@dataclass(frozen=True)
class Change:
    """Hold one bulk change, and what has to be there before it."""

    make: Callable[[Scene], object]
    prepare: Callable[[Scene], object] | None = None


def _edit(scene: Scene, **changes: Any) -> None:
    """Edit the hub's hop as the admin."""
    hub = scene.hub
    draft = Draft(
        kind=hub.kind,
        alias=hub.alias,
        profile=hub.profile,
        region=hub.region,
        assumer=hub.link.assumer,
        hop=replace(hub.link.settings, **changes),
    )
    save_session(draft, Actor(scene.ada), hub)


def _one_role(scene: Scene) -> None:
    """Give all leaves one role, and close the first of them."""
    first = scene.leaves()[0]
    AssumerLink.objects.filter(assumer=scene.hub).update(role_arn=first.link.role_arn)
    set_access(scene.session(first), Access(NOBODY, NOBODY), Actor(scene.ada))
    follow()


def _open_to_group(scene: Scene) -> None:
    """Open all leaves to one group alone, in which ben is."""
    group = save_group(Actor(scene.ada), "Group", [scene.ben])
    leaves = scene.leaves()
    AwsSession.objects.filter(link__assumer=scene.hub).update(open_to_start=False)
    SessionGrant.objects.bulk_create(
        [SessionGrant(session=each, right=GrantedRight.START, group=group) for each in leaves]
    )


def _give_tokens(scene: Scene) -> None:
    """Give ben a token for every third leaf."""
    ends = database_now() + timedelta(days=1)
    Token.objects.bulk_create(
        [
            Token(
                team=scene.ben.team,
                user=scene.ben.user,
                name=f"token {number}",
                digest=Token.digest_of(Secret(f"token {number}")),
                expires_at=ends,
            )
            for number in range(0, len(scene.seeded.leaves), 3)
        ]
    )


def _take_new_password(scene: Scene) -> None:
    user = User.objects.get(pk=scene.ben.user_id)
    user.set_password("another " + PASSWORD)
    with transaction.atomic():
        user.save()


def _change_policy(scene: Scene) -> None:
    policy = PolicyDraft.of(TeamPolicy.of(scene.team_id))
    save_policy(replace(policy, networks=("192.0.2.0/24",)), Actor(scene.ada))


def _change_names(scene: Scene) -> None:
    policy = PolicyDraft.of(TeamPolicy.of(scene.team_id))
    changed = replace(policy, role_session_name="cw-{username}", names_locked=True)
    save_policy(changed, Actor(scene.ada))


def _delete_group(scene: Scene) -> None:
    delete_group(TeamGroup.objects.get(team=scene.team_id), Actor(scene.ada))


def _empty_group(scene: Scene) -> None:
    save_group(Actor(scene.ada), "Group", [], TeamGroup.objects.get(team=scene.team_id))


def _only_for(member: Membership) -> Access:
    return Access(Audience(), Audience(everyone=False, members=[member]))


CHANGES = {
    "start": Change(
        lambda scene: start_sessions(scene.leaves(), Actor(scene.ben)),
        lambda scene: stop_all(scene.ben),
    ),
    "start_again": Change(lambda scene: start_sessions(scene.leaves(), Actor(scene.ben))),
    "stop": Change(lambda scene: stop_sessions(scene.leaves(), Actor(scene.ben))),
    "edit_role": Change(
        lambda scene: _edit(scene, role_arn="arn:aws:iam::111122223333:role/Other")
    ),
    "edit_name": Change(lambda scene: _edit(scene, role_session_name="x-{username}")),
    "delete_hub": Change(lambda scene: deletions.delete_session(scene.hub, Actor(scene.ada))),
    "delete_root": Change(lambda scene: deletions.delete_session(scene.root, Actor(scene.ada))),
    "close_hub": Change(
        lambda scene: set_access(scene.hub, _only_for(scene.ben), Actor(scene.ada))
    ),
    "close_other_ways": Change(
        lambda scene: close_wider_ways(scene.leaves()[0], Actor(scene.ada)), _one_role
    ),
    "empty_group": Change(_empty_group, _open_to_group),
    "delete_group": Change(_delete_group, _open_to_group),
    "policy_names": Change(_change_names),
    "policy_networks": Change(_change_policy),
    "remove_member": Change(lambda scene: remove_member(scene.ben, Actor(scene.ada))),
    "remove_author": Change(lambda scene: remove_member(scene.cal, Actor(scene.ada))),
    "hand_over": Change(lambda scene: remove_member(scene.cal, Actor(scene.ada), scene.ada.user)),
    "make_auditor": Change(lambda scene: change_role(scene.cal, Role.AUDITOR, Actor(scene.ada))),
    "rename": Change(lambda scene: rename_in_cloudtrail(scene.ben, "benedict", Actor(scene.ada))),
    "suspend_with_tokens": Change(
        lambda scene: disable_member(scene.ben, Actor(scene.ada)), _give_tokens
    ),
    "switch_off_with_tokens": Change(
        lambda scene: set_person_active(scene.ben.user, False, NamedActor("manage.py")),
        _give_tokens,
    ),
    "new_password": Change(_take_new_password, _give_tokens),
}
