"""Resolve what each hop of a chain says for a person, under the team's policy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.db.models.functions import Lower

from sessions.aws import session_policies
from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.hop import Hop
from sessions.aws.name_template import NameTemplate
from sessions.aws.names import InvalidName
from sessions.aws.roots import ROOT_KINDS
from sessions.chains.scoping import leaf_policy
from sessions.models import (
    CHAINED,
    AssumerLink,
    AwsSession,
    Membership,
    SourceIdentity,
    Team,
    TeamPolicy,
)


def effective_template(own: str, policy: TeamPolicy) -> NameTemplate:
    """Choose the template that applies to a link, whose own may be empty.

    It is the team's where the link has none, where names are locked, or where the link's does not
    name a person but must.
    """
    template = NameTemplate(own)
    if not own or policy.names_locked or (policy.username_demanded and not template.names_a_person):
        return NameTemplate(policy.role_session_name)
    return template


def template_of(link: AssumerLink, policy: TeamPolicy) -> NameTemplate:
    return effective_template(link.role_session_name, policy)


def role_session_name(
    link: AssumerLink, session: AwsSession, member: Membership, policy: TeamPolicy
) -> str:
    """Return what CloudTrail will show for that person at that hop; always legal.

    Raises `InvalidName` for a broken template.
    """
    values = {"username": member.user.aws_name, "alias": session.alias, "team": member.team.slug}
    return template_of(link, policy).render(values)


def carries_source_identity(chain: Sequence[AwsSession], policy: TeamPolicy) -> bool:
    """Tell if a chain's first hop sends a source identity: see `SourceIdentity`."""
    match SourceIdentity(policy.source_identity):
        case SourceIdentity.OFF:
            return False
        case SourceIdentity.REQUIRED:
            return True
        case SourceIdentity.WHERE_POSSIBLE:
            return not any(session.link.without_source_identity for session in chain[1:])


def resolve_hops(chain: Sequence[AwsSession], member: Membership, policy: TeamPolicy) -> list[Hop]:
    """Return a chain's AssumeRole calls for that person, root first, the last as delivered.

    Only that last one is bound to networks and limited, and not even that where scoped children of
    it are delivered: a worker assumes from the others, and from elsewhere. Raises `InvalidName`.
    """
    carries = carries_source_identity(chain, policy)
    hops = []
    for level, session in enumerate(chain[1:], start=1):
        link = session.link
        settings = link.settings
        is_leaf = level == len(chain) - 1
        hops.append(
            Hop.of(
                settings,
                role_session_name=role_session_name(link, session, member, policy),
                source_identity=member.user.aws_name if carries and level == 1 else "",
                policy=leaf_policy(settings, policy) if is_leaf else settings.policy,
            )
        )
    return hops


@dataclass(frozen=True)
class NamedHop:
    """Hold one hop as CloudTrail will show it for one person; `policy_size` of 2048 characters."""

    number: int
    alias: str
    account: str
    arn: str
    source_identity: str
    is_personal: bool
    is_bound: bool
    tags: tuple[tuple[str, str], ...]
    policy_size: int


def preview(chain: Sequence[AwsSession], member: Membership, policy: TeamPolicy) -> list[NamedHop]:
    """Return the hops of a chain (root first) for a person, up to the first mistake in a draft."""
    named: list[NamedHop] = []
    if chain[0].is_chained:
        return named  # a broken table: the chain does not begin at a root
    try:
        hops = resolve_hops(chain, member, policy)
        for number, (session, hop) in enumerate(zip(chain[1:], hops, strict=True), start=1):
            role = RoleArn.parse(hop.role_arn)
            is_last = number == len(hops)
            named.append(
                NamedHop(
                    number=number,
                    alias=session.alias,
                    account=role.account,
                    arn=role.assumed_role_arn(hop.role_session_name),
                    # Sent at the first hop, it is there at all of them.
                    source_identity=hops[0].source_identity,
                    is_personal=ROOT_KINDS[chain[0].kind].per_person
                    or bool(hops[0].source_identity)
                    or any(
                        template_of(each.link, policy).names_a_person
                        for each in chain[1 : number + 1]
                    ),
                    is_bound=is_last and bool(policy.networks or session.link.networks),
                    tags=hop.tags,
                    policy_size=session_policies.plain_size(hop.policy, hop.policy_arns),
                )
            )
    except (InvalidArn, InvalidName):
        return named
    return named


@dataclass(frozen=True)
class Unnamed:
    """Hold a session that has one CloudTrail name for everybody.

    `has_source_identity`: the source identity still says who it was. `shows`: the username of a
    member whose own name in CloudTrail it equals. No new session or handle may cause that, but a
    person who joins another team can.
    """

    session: AwsSession
    template: str
    has_source_identity: bool
    shows: str


def may_be_unnamed(team: Team, policy: TeamPolicy) -> QuerySet[AwsSession]:
    """Select the sessions whose role session name may identify no person, by alias."""
    found = AwsSession.objects.filter(team=team, kind=CHAINED).select_related("team", "link")
    default_names_a_person = NameTemplate(policy.role_session_name).names_a_person
    if policy.names_locked or policy.username_demanded:
        if default_names_a_person:
            return found.none()
        if policy.names_locked:
            return found.order_by(Lower("alias"), "pk")
    if default_names_a_person:
        found = found.exclude(link__role_session_name="")
    return found.exclude(link__role_session_name__contains="{username}").order_by(
        Lower("alias"), "pk"
    )


def unnamed_sessions(
    chains: Iterable[Sequence[AwsSession]], policy: TeamPolicy, team: Team
) -> list[Unnamed]:
    """Return the chains' last sessions whose role session name identifies no person.

    A template with {username} always identifies one: the name is shortened elsewhere first, and the
    longest handle fits.
    """
    members = Membership.objects.filter(team=team).values_list("user__aws_name", "user__username")
    owners = {handle.lower(): username for handle, username in members}
    found = []
    for chain in chains:
        session = chain[-1]
        if not session.is_chained:
            continue
        template = template_of(session.link, policy)
        if template.names_a_person:
            continue
        try:
            name = template.render({"alias": session.alias, "team": team.slug})
        except InvalidName:
            name = ""  # a template of before the rules, which is never sent
        carries = carries_source_identity(chain, policy)
        found.append(Unnamed(session, template.text, carries, owners.get(name.lower(), "")))
    return found
