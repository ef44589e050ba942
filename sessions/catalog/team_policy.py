"""Change a team's policy: checked against all chains, one event; what is active follows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import StrIndex

from sessions import ledger
from sessions.activations.moves import follow
from sessions.actors import Actor
from sessions.aws import limits, names, session_policies
from sessions.aws.hop_settings import HopSettings
from sessions.aws.name_template import NameTemplate
from sessions.aws.session_policies import LONGEST_POLICY
from sessions.chains.impersonation import HANDLE, conflicting_name, handles_of
from sessions.chains.names import effective_template
from sessions.chains.rules import check_name, check_size, check_tags, size_of, why_not_tags
from sessions.chains.scoping import scoped_policy_of
from sessions.db.batches import in_batches
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.sessions import PolicyChanged, SessionCreated, SessionEdited
from sessions.locks.team_lock import begin
from sessions.locks.versions import expect
from sessions.models import (
    CHAINED,
    AssumerLink,
    AwsSession,
    Event,
    Scoping,
    ScopingRefusal,
    SourceIdentity,
    TeamPolicy,
)
from sessions.models.forest import below
from sessions.permissions import Action

# What of a policy decides how people are called.
NAMING = ("role_session_name", "names_locked", "username_demanded")
# For how many hours a started session may be renewed: at most a week, then somebody has to want
# it again.
HOURS = range(1, 7 * 24 + 1)
# For how many days a token may be valid.
TOKEN_DAYS = range(1, 3651)
# A pasted snippet's; none of them outlives the role's own hour.
SNIPPET_MINUTES = range(15, 61)
# What of a policy decides how long session policies are.
NARROWING = ("networks", "scoping", "read_only", "without_iam", "regions", "scope_policy")
# The events that tell of a session that may be otherwise than it was checked.
SAVED = (SessionCreated.tag, SessionEdited.tag)
# What asks AWS for nothing new of what is active.
ASKS_FOR_NOTHING = {
    "activation_hours",
    "token_days",
    "snippet_minutes",
    "tokens_take_sensitive",
}
# How often the chains are checked again because somebody else has changed the policy meanwhile.
TRIES = 3


@dataclass(frozen=True)
class PolicyDraft:
    """Hold what a form or the API wants the policy to be.

    The fields are those of `TeamPolicy`, and the team's own hours.

    `tags` is {key: the values it may have}, none of them meaning any.
    """

    role_session_name: str
    names_locked: bool
    username_demanded: bool
    source_identity: str
    tags: Mapping[str, tuple[str, ...]]
    networks: tuple[str, ...]
    activation_hours: int
    token_days: int = 90
    scoping: str = Scoping.OFF
    snippet_minutes: int = SNIPPET_MINUTES[-1]
    read_only: bool = False
    without_iam: bool = False
    regions: tuple[str, ...] = ()
    scope_policy: str = ""
    tokens_take_sensitive: bool = False

    @classmethod
    def of(cls, policy: TeamPolicy) -> "PolicyDraft":
        """Return the policy as it is."""
        return cls(
            policy.role_session_name,
            policy.names_locked,
            policy.username_demanded,
            str(policy.source_identity),
            {key: tuple(values) for key, values in policy.allowed_tags.items()},
            tuple(policy.networks),
            policy.team.activation_hours,
            policy.token_days,
            str(policy.scoping),
            policy.snippet_minutes,
            policy.read_only,
            policy.without_iam,
            tuple(policy.regions),
            policy.scope_policy,
            policy.tokens_take_sensitive,
        )

    def policy(self, team_id: Any) -> TeamPolicy:
        """Return the policy as it would be, not stored. Raises `Refused`."""
        return TeamPolicy(
            team_id=team_id,
            role_session_name=_checked("role_session_name", self._template),
            names_locked=self.names_locked,
            username_demanded=self.username_demanded,
            source_identity=_checked(
                "source_identity", lambda: SourceIdentity(self.source_identity)
            ),
            tags=_checked("tags", self._tags),
            tokens_take_sensitive=self.tokens_take_sensitive,
            networks=list(
                _checked("networks", lambda: session_policies.validate_networks(self.networks))
            ),
            token_days=_checked("token_days", lambda: validate_token_days(self.token_days)),
            scoping=_checked("scoping", lambda: Scoping(self.scoping)),
            snippet_minutes=_checked(
                "snippet_minutes", lambda: validate_snippet_minutes(self.snippet_minutes)
            ),
            read_only=self.read_only,
            without_iam=self.without_iam,
            regions=list(_checked("regions", lambda: limits.validate_regions(self.regions))),
            scope_policy=_checked("scope_policy", self._scope_policy),
        )

    def hours(self) -> int:
        """Set how long sessions started from now on are renewed. Raises `Refused`."""
        return int(_checked("activation_hours", lambda: validate_hours(self.activation_hours)))

    def _template(self) -> str:
        template = NameTemplate(self.role_session_name).check()
        if self.username_demanded and not template.names_a_person:
            raise ValueError("The default has no {username}, which you require below.")
        return self.role_session_name

    def _scope_policy(self) -> str:
        if not self.scope_policy:
            return ""
        return session_policies.validate_session_policy(self.scope_policy)

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


def validate_token_days(days: int) -> int:
    if days not in TOKEN_DAYS:
        raise ValueError(f"Whole days, {TOKEN_DAYS[0]} to {TOKEN_DAYS[-1]}.")
    return days


def validate_snippet_minutes(minutes: int) -> int:
    if minutes not in SNIPPET_MINUTES:
        raise ValueError(f"Whole minutes, {SNIPPET_MINUTES[0]} to {SNIPPET_MINUTES[-1]}.")
    return minutes


def _checked(field: str, check: Any) -> Any:
    try:
        return check()
    except ValueError as error:
        raise Refused(field, str(error)) from None


def save_policy(draft: PolicyDraft, actor: Actor, *, seen: int | None = None) -> TeamPolicy:
    """Save the team's policy.

    Raises `Refused`, naming the session, if a stored chain could not be walked under it.

    It holds at once. What is active moves to the new names, here or by workers in parts (see
    `moves`), and each keeps its end; the caller wakes one. Every chain is checked before the team's
    lock is taken, under it only what has changed since. `seen`: the version that the draft was made
    from; raises `Changed` if there is another by now.
    """
    for _ in range(TRIES):
        began_at = ledger.length(actor.team_id)
        stored = TeamPolicy.of(actor.team_id)
        expect(stored.version, seen)
        before = PolicyDraft.of(stored)
        check_all(actor.team_id, before, draft)
        with transaction.atomic():
            if (saved := _save(draft, actor, before, began_at, seen)) is not None:
                return saved
    raise Refused("", "Another person is changing the policy. Reload it and try again.")


def _save(
    draft: PolicyDraft, actor: Actor, checked: PolicyDraft, began_at: int, seen: int | None
) -> TeamPolicy | None:
    """Save the policy under the team's lock.

    None if another policy was saved since the chains were checked.
    """
    actor = begin(actor, Action.EDIT_POLICY)
    team = actor.team
    stored = TeamPolicy.of(team.pk)
    expect(stored.version, seen)
    before, after = PolicyDraft.of(stored), draft
    if before != checked:
        return None
    check_all(team.pk, before, draft, since=began_at)
    policy, team.activation_hours = draft.policy(team.pk), draft.hours()
    changed = {
        name: (value, asdict(after)[name])
        for name, value in asdict(before).items()
        if value != asdict(after)[name]
    }
    if not changed:
        return stored
    team.save(update_fields=["activation_hours"])
    policy.version = stored.version + 1
    policy.save()
    if "scoping" in changed:  # what AWS has refused may be allowed by now
        ScopingRefusal.objects.filter(team=team.pk).delete()
    if not changed.keys() <= ASKS_FOR_NOTHING:
        follow(team.pk, database_now())
    told = PolicyChanged(
        before={name: _plain(old) for name, (old, _) in changed.items()},
        after={name: _plain(new) for name, (_, new) in changed.items()},
    )
    ledger.append(team.pk, [Entry(told, actor)])
    return policy


def check_all(
    team_id: Any, before: PolicyDraft, after: PolicyDraft, since: int | None = None
) -> None:
    """Check every chained session against a new policy, as far as it differs. Raises `Refused`.

    `since`: only sessions that were saved since the team's ledger had that many lines, and what is
    below them.
    """
    policy = after.policy(team_id)
    after.hours()
    sessions = AwsSession.objects.filter(team=team_id, kind=CHAINED).select_related("link", "team")
    if since is None:
        _check_roots(team_id, sessions)
    else:
        saved = Event.objects.filter(team_id=str(team_id), seq__gt=since, kind__in=SAVED)
        ids = [UUID(each) for each in saved.values_list("session_id", flat=True)]
        if not ids:
            return
        sessions = sessions.filter(pk__in=below(AwsSession.objects.filter(pk__in=ids).values("pk")))
    if dict(before.tags) != dict(after.tags):
        _check_tags(sessions, policy)
    if any(getattr(before, name) != getattr(after, name) for name in NARROWING):
        _check_alone(policy)
        _check_sizes(sessions, policy)
    if any(getattr(before, name) != getattr(after, name) for name in NAMING):
        _check_names(sessions, policy)


def _check_roots(team_id: Any, sessions: QuerySet[AwsSession]) -> None:
    """Refuse a table whose links do not all lead to a root of the team, as after a hand edit."""
    roots = AwsSession.objects.filter(team=team_id).exclude(kind=CHAINED)
    lost = sessions.exclude(pk__in=below(roots.values("pk"))).order_by().first()
    if lost is not None:
        raise Refused(
            "",
            f"The chain of {lost.alias!r} does not end at a root of its team. Repair or delete"
            " it first.",
        )


def _check(session: AwsSession, check: Callable[..., None], *about: Any) -> None:
    try:
        check(*about)
    except Refused as refused:
        field = {"policy": _cause(*about)}.get(refused.field, refused.field)
        raise Refused(field, f"“{session.alias}” conflicts with it: {refused.message}") from None


def _cause(*about: Any) -> str:
    """Name the field of a policy that makes session policies too long."""
    policy = next((each for each in about if isinstance(each, TeamPolicy)), None)
    return "scope_policy" if policy is not None and policy.scope_policy else "networks"


# What these look at is what sessions say, each thing once, not each session: tens of thousands
# mostly say the same.


def _said(sessions: QuerySet[AwsSession], *columns: str) -> list[tuple[Any, ...]]:
    """List what the links of these sessions have in some columns, each combination once."""
    return list(sessions.order_by().values_list(*(f"link__{each}" for each in columns)).distinct())


def _with(sessions: QuerySet[AwsSession], **said: Any) -> AwsSession:
    """Find the first of the sessions whose link says that."""
    return sessions.filter(**{f"link__{name}": value for name, value in said.items()})[0]


def _check_tags(sessions: QuerySet[AwsSession], policy: TeamPolicy) -> None:
    for (tags,) in _said(sessions.exclude(link__tags=[]), "tags"):
        if why_not_tags(AssumerLink(tags=tags), policy):
            session = _with(sessions, tags=tags)
            _check(session, check_tags, session.link, policy)


def _check_alone(policy: TeamPolicy) -> None:
    """Refuse limits that are too long for any session. Raises `Refused`."""
    size = len(scoped_policy_of(HopSettings(), policy))
    if size > LONGEST_POLICY:
        field = "scope_policy" if policy.scope_policy else "networks"
        raise Refused(
            field,
            f"The limits, networks and policy together have {size} characters; AWS accepts"
            f" {LONGEST_POLICY}. Leave out a limit or shorten the lists.",
        )


def _check_sizes(sessions: QuerySet[AwsSession], policy: TeamPolicy) -> None:
    columns = ("policy", "policy_arns", "networks")
    for said in _said(sessions, *columns):
        link = dict(zip(columns, said, strict=True))
        if _is_too_long(AssumerLink(**link), policy):
            session = _with(sessions, **link)
            _check(session, check_size, session, policy)


def _is_too_long(link: AssumerLink, policy: TeamPolicy) -> bool:
    """Tell whether a link's policies do not fit, or cannot be joined with the team's."""
    try:
        return size_of(link, policy) > LONGEST_POLICY
    except ValueError:
        return True


def _check_names(sessions: QuerySet[AwsSession], policy: TeamPolicy) -> None:
    """Check that nobody would have another's name in CloudTrail.

    Under that policy. Raises `Refused`.
    """
    handles = handles_of(policy.team_id)
    with_alias: list[str] = []
    for (own,) in _said(sessions, "role_session_name"):
        template = effective_template(own, policy)
        if template.has_alias:
            with_alias.append(own)
        elif template != HANDLE and conflicting_name(template.fill("", policy.team.slug), handles):
            session = _with(sessions, role_session_name=own)
            _check(session, check_name, session, policy, handles)
    if not with_alias:
        return
    # What is in nobody's handle makes nobody's name.
    in_a_handle = StrIndex(Value("\n".join(handles)), F("shown_alias"))
    some = sessions.filter(link__role_session_name__any_of=with_alias).annotate(
        in_a_handle=in_a_handle
    )
    for session in in_batches(
        some.filter(Q(shown_alias=None) | Q(in_a_handle__gt=0)).exclude(shown_alias="")
    ):
        _check(session, check_name, session, policy, handles)


def _plain(value: Any) -> Any:
    """Write a policy as the ledger takes it: objects with ASCII keys only, so tags are lists."""
    if isinstance(value, Mapping):
        return [[key, list(values)] for key, values in value.items()]
    return list(value) if isinstance(value, tuple) else value
