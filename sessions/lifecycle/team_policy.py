"""Changing a team's policy: checked against every chain it has, one event, and what is active follows by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from sessions import ledger
from sessions.aws import names, session_policies
from sessions.clock import database_now
from sessions.ledger import Entry
from sessions.lifecycle.activations import lock_team, resettle
from sessions.lifecycle.handles import handles_of
from sessions.lifecycle.hop_rules import check_chain, check_name, check_tags
from sessions.lifecycle.refused import Refused
from sessions.models import AwsSession, EventKind, Membership, SourceIdentity, TeamPolicy
from sessions.models.sessions import BrokenChain, load_chains

# What of a policy decides how people are called.
NAMING = ("role_session_name", "names_locked", "username_demanded")
# For how many hours a started session may be kept fresh: at most a week, then somebody has to want it again.
HOURS = range(1, 7 * 24 + 1)


@dataclass(frozen=True)
class PolicyDraft:
    """What a form or the API wants the policy to be; the fields are those of `TeamPolicy`, and the team's own hours.

    `tags` is {key: the values it may have}, none of them meaning any.
    """

    role_session_name: str
    names_locked: bool
    username_demanded: bool
    source_identity: str
    tags: Mapping[str, tuple[str, ...]]
    networks: tuple[str, ...]
    activation_hours: int

    @classmethod
    def of(cls, policy: TeamPolicy) -> "PolicyDraft":
        """The policy as it is."""
        return cls(
            policy.role_session_name,
            policy.names_locked,
            policy.username_demanded,
            str(policy.source_identity),
            {key: tuple(values) for key, values in policy.allowed_tags.items()},
            tuple(policy.networks),
            policy.team.activation_hours,
        )

    def policy(self, team_id: Any) -> TeamPolicy:
        """The policy that it would be, not stored. Raises `Refused`."""
        return TeamPolicy(
            team_id=team_id,
            role_session_name=_checked("role_session_name", self._template),
            names_locked=self.names_locked,
            username_demanded=self.username_demanded,
            source_identity=_checked("source_identity", lambda: SourceIdentity(self.source_identity)),
            tags=_checked("tags", self._tags),
            networks=list(_checked("networks", lambda: session_policies.validate_networks(self.networks))),
        )

    def hours(self) -> int:
        """For how long what is started from then on is kept fresh. Raises `Refused`."""
        return int(_checked("activation_hours", lambda: validate_hours(self.activation_hours)))

    def _template(self) -> str:
        names.validate_role_session_name_template(self.role_session_name)
        if self.username_demanded and not names.names_a_person(self.role_session_name):
            raise ValueError("The default itself has no {username}, which is demanded below.")
        return self.role_session_name

    def _tags(self) -> list[dict[str, Any]]:
        names.validate_tags([(key, "") for key in self.tags])
        for key, values in self.tags.items():
            for value in values:
                names.validate_tags([(key, value)])
            if len(set(values)) < len(values):
                raise ValueError(f"A value of “{key}” is there twice.")
        return [{"key": key, "values": list(values)} for key, values in self.tags.items()]


def validate_hours(hours: int) -> int:
    if hours not in HOURS:
        raise ValueError(f"Whole hours, {HOURS[0]} to {HOURS[-1]}.")
    return hours


def _checked(field: str, check: Any) -> Any:
    try:
        return check()
    except ValueError as error:
        raise Refused(field, str(error)) from None


@transaction.atomic
def save_policy(draft: PolicyDraft, member: Membership) -> TeamPolicy:
    """Makes it the team's policy. Raises `Refused`, naming the session, if a stored chain could not be walked under it.

    Active chains move to the new names by themselves, and each keeps its end; the caller wakes a worker.
    """
    team = lock_team(member.team_id)
    before, after = PolicyDraft.of(TeamPolicy.of(team.pk)), draft
    policy, team.activation_hours = draft.policy(team.pk), draft.hours()
    sessions = list(AwsSession.objects.filter(team=team).select_related("link", "team"))
    check_all(sessions, policy)
    if any(getattr(before, name) != getattr(after, name) for name in NAMING):
        check_names(sessions, policy)
    changed = {
        name: (value, asdict(after)[name])
        for name, value in asdict(before).items()
        if value != asdict(after)[name]
    }
    if not changed:
        return TeamPolicy.of(team.pk)
    team.save(update_fields=["activation_hours"])
    if changed.keys() != {"activation_hours"}:  # which alone asks AWS for nothing new
        policy.save()
        resettle(sessions, database_now())
    data = {
        "before": {name: _plain(old) for name, (old, _) in changed.items()},
        "after": {name: _plain(new) for name, (_, new) in changed.items()},
    }
    actor = member.user.get_username()
    ledger.append(team.pk, [Entry(EventKind.POLICY_CHANGED, actor, data=data)])
    return policy


def check_all(sessions: list[AwsSession], policy: TeamPolicy) -> None:
    """Whether every chained session can live under that policy. Raises `Refused`."""
    try:
        chains = load_chains(sessions)
    except BrokenChain as error:
        raise Refused("", f"{error} Mend or delete it first.") from None
    for chain in chains.values():
        session = chain[-1]
        if not session.is_chained:
            continue
        try:
            check_tags(session.link, policy)
            check_chain(chain, policy)
        except Refused as refused:
            field = {"policy": "networks"}.get(refused.field, refused.field)
            raise Refused(field, f"“{session.alias}” stands against it: {refused.message}") from None


def check_names(sessions: Sequence[AwsSession], policy: TeamPolicy) -> None:
    """Whether nobody would go by another's name in CloudTrail under that policy. Raises `Refused`."""
    handles = handles_of(policy.team_id)
    for session in sessions:
        if not session.is_chained:
            continue
        try:
            check_name(session, policy, handles)
        except Refused as refused:
            raise Refused(refused.field, f"“{session.alias}” stands against it: {refused.message}") from None


def _plain(value: Any) -> Any:
    """As the ledger takes it: objects with ASCII keys only, so tags are lists."""
    if isinstance(value, Mapping):
        return [[key, list(values)] for key, values in value.items()]
    return list(value) if isinstance(value, tuple) else value
