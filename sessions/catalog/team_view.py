"""Describe sessions for one member: chain, identity, status, time left."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sessions.activations.status import State, ended_state, notices_of, state_of
from sessions.actors import Actor
from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.names import InvalidName
from sessions.chains.names import role_session_name
from sessions.models import Activation, AwsSession, Ended, Membership, Problem, TeamPolicy
from sessions.models.labels import load_labels
from sessions.models.sessions import load_chains
from sessions.permissions import PermissionChecker, orphaned_links
from sessions.roots.problems import root_problems


@dataclass(frozen=True)
class Described:
    """Hold a session with all that a list shows of it, for one member."""

    session: AwsSession
    chain: list[AwsSession]
    state: State
    account: str
    role: str
    cloudtrail_name: str
    cloudtrail_arn: str


@dataclass
class TeamView:
    """Hold sessions of an actor's team with chains and states, in a fixed number of queries."""

    actor: Actor
    now: datetime
    policy: TeamPolicy
    sessions: dict[Any, AwsSession] = field(default_factory=dict)
    activations: Mapping[Any, Activation] = field(default_factory=dict)
    broken_roots: Mapping[Any, Problem] = field(default_factory=dict)
    ended: Mapping[Any, Ended] = field(default_factory=dict)
    # None: all sessions of the team are loaded.
    only: Collection[Any] | None = None
    rights: PermissionChecker = field(init=False)

    def __post_init__(self) -> None:
        self.rights = PermissionChecker(self.actor, self.only)

    @cached_property
    def _orphaned(self) -> set[Any]:
        return orphaned_links([self.actor.team_id], among=self.only)

    def is_orphaned(self, session: AwsSession) -> bool:
        """Tell whether a link of the chain is orphaned: see `permissions.orphaned_links`.

        Nothing is issued then.
        """
        return any(each.pk in self._orphaned for each in self.chain_of(session))

    def chain_of(self, session: AwsSession) -> list[AwsSession]:
        """Return a session's chain, root first. A broken table ends the walk, not the page."""
        path = [session]
        while path[0].is_chained:
            assumer = self.sessions.get(path[0].link.assumer_id)
            if assumer is None or assumer in path:
                break
            path.insert(0, assumer)
        return path

    def describe(self, session: AwsSession) -> Described:
        account, role, name, arn = _identity(session, self.actor.member, self.policy)
        activation = self.activations.get(session.pk)
        state = (
            state_of(activation, self.now)
            if activation
            else ended_state(self.ended.get(session.pk))
        )
        if not session.is_chained:
            state = State(problem=self.broken_roots.get(session.pk))
        return Described(session, self.chain_of(session), state, account, role, name, arn)

    def describe_all(self, sessions: Iterable[AwsSession]) -> list[Described]:
        return [self.describe(session) for session in sessions]


def view_of_sessions(actor: Actor, now: datetime, sessions: Sequence[AwsSession] = ()) -> TeamView:
    """Load these sessions and their chains alone.

    The cost does not depend on the rest of the team.
    """
    loaded = {
        each.pk: each for chain in load_chains(sessions, broken=True).values() for each in chain
    }
    load_labels(loaded.values())
    activations = Activation.objects.filter(
        user=actor.user,
        session_id__any_of=[session.pk for session in sessions],
        credential__team=actor.team_id,
    ).select_related("credential")
    return TeamView(
        actor,
        now,
        TeamPolicy.of(actor.team_id),
        loaded,
        {a.session_id: a for a in activations},
        root_problems(
            [pk for pk, each in loaded.items() if not each.is_chained], actor.member, now
        ),
        only=list(loaded),
        ended=notices_of(actor.member, [session.pk for session in sessions]),
    )


def view_of_team(actor: Actor, now: datetime) -> TeamView:
    """Load all that a list needs in a few queries, however many sessions there are."""
    found = (
        AwsSession.objects.filter(team=actor.team).select_related("link").defer("sealed_secrets")
    )
    sessions = {session.pk: session for session in found}
    load_labels(sessions.values(), team=actor.team)
    # Another team's credential is not shown, whatever points to it.
    started = Activation.objects.filter(
        user=actor.user, session__team=actor.team, credential__team=actor.team
    )
    activations = {each.session_id: each for each in started.select_related("credential")}
    roots = [pk for pk, session in sessions.items() if not session.is_chained]
    policy = TeamPolicy.of(actor.team_id)
    problems = root_problems(roots, actor.member, now)
    return TeamView(
        actor, now, policy, sessions, activations, problems, ended=notices_of(actor.member)
    )


def _identity(
    session: AwsSession, member: Membership, policy: TeamPolicy
) -> tuple[str, str, str, str]:
    """Return (account, role with path, CloudTrail name, CloudTrail ARN).

    Blanks for a root that was never tested.
    """
    if not session.is_chained:
        parts = session.identity_arn.split(":", 5)
        return session.account, parts[5] if len(parts) == 6 else "", "", session.identity_arn
    try:
        arn = RoleArn.parse(session.link.role_arn)
        name = role_session_name(session.link, session, member, policy)
    except (InvalidArn, InvalidName):
        return "", session.link.role_arn, "", ""
    return arn.account, f"{arn.path}{arn.name}".removeprefix("/"), name, arn.assumed_role_arn(name)
