"""Decide what is narrowed, and how: by a scoped child of the leaf, or by the leaf itself."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sessions.aws import limits, session_policies
from sessions.aws.hop_settings import HopSettings
from sessions.aws.limits import Limits
from sessions.aws.scoped import ScopedRequest, describe
from sessions.models import AwsSession, Credential, Scoping, ScopingRefusal, TeamPolicy

MAY_BE_SCOPED = {"Effect": "Allow", "Action": "sts:GetScopedCredentials", "Resource": "*"}


def limits_of(policy: TeamPolicy) -> Limits:
    """Return a team's presets."""
    return Limits(
        read_only=policy.read_only,
        without_iam=policy.without_iam,
        regions=tuple(policy.regions),
        policy=policy.scope_policy,
    )


def delivers_scoped(settings: HopSettings, policy: TeamPolicy) -> bool:
    """Tell whether a scoped child is delivered of a session with that link, and never the leaf.

    Where AWS refuses it the leaf is, unless it cannot carry the team's own policy beside its own.
    """
    if policy.scoping == Scoping.OFF:
        return False
    return policy.scopes(settings.role_arn) or _have_two_policies(settings, policy)


def _have_two_policies(settings: HopSettings, policy: TeamPolicy) -> bool:
    return bool(policy.scope_policy and (settings.policy or settings.policy_arns))


def leaf_policy(settings: HopSettings, policy: TeamPolicy) -> str:
    """Return the session policy of a chain's last hop.

    The child is bound and limited in its place, since a worker narrows the leaf from elsewhere. The
    leaf's own policy has to allow it that.
    """
    if not delivers_scoped(settings, policy):
        return _limited(settings, policy)
    return _scopable(settings)


def _scopable(settings: HopSettings) -> str:
    if not settings.policy and not settings.policy_arns:
        return ""
    return session_policies.with_statements(settings.policy, [MAY_BE_SCOPED])


def _limited(settings: HopSettings, policy: TeamPolicy) -> str:
    lists = (policy.networks, settings.networks)
    return limits.limited_policy(settings.policy, settings.policy_arns, lists, limits_of(policy))


def scoped_policy_of(settings: HopSettings, policy: TeamPolicy) -> str:
    """Return the policy of the scoped children of a session with that link."""
    return limits.scoped_policy((policy.networks, settings.networks), limits_of(policy))


def longest_size(settings: HopSettings, policy: TeamPolicy) -> int:
    """Count the characters of the longest policy that a session with that link may be sent with.

    Raises `InvalidName` where its own policy cannot be joined with the team's.
    """
    sizes = []
    if policy.scoping != Scoping.OFF:
        own = session_policies.plain_size(_scopable(settings), settings.policy_arns)
        sizes += [own, len(scoped_policy_of(settings, policy))]
    if policy.scoping == Scoping.OFF or (
        policy.scoping == Scoping.WHERE_ALLOWED and not _have_two_policies(settings, policy)
    ):
        sizes.append(session_policies.plain_size(_limited(settings, policy), settings.policy_arns))
    return max(sizes)


def refusal_of(session: AwsSession, policy: TeamPolicy) -> ScopingRefusal | None:
    """Return why the leaf is delivered of a session, though the policy wants it scoped."""
    if policy.scoping == Scoping.OFF or not session.is_chained:
        return None
    if delivers_scoped(session.link.settings, policy):
        return None
    refused = ScopingRefusal.objects.filter(team=policy.team_id, role_arn=session.link.role_arn)
    return refused.first()


def request_for(
    delivery: UUID,
    leaf: Credential,
    session: AwsSession,
    policy: TeamPolicy,
    *,
    person: str,
    device: str,
    seconds: int = 0,
) -> ScopedRequest:
    """Return the request for one delivery of that leaf.

    `person` is a handle in CloudTrail; `seconds`: its longest life, 0: the rest of the leaf's.
    """
    assert session.team is not None
    return ScopedRequest(
        policy=scoped_policy_of(session.link.settings, policy),
        description=describe(session.team.slug, delivery, person, device),
        seconds=seconds,
        role_arn=leaf.request["role_arn"],
        role_session_name=leaf.request["role_session_name"],
        source_identity=leaf.request.get("source_identity", ""),
    )


def child_of(leaf: Credential, asked: ScopedRequest) -> Credential:
    """Return the row of a request of that leaf's, not stored."""
    return Credential(
        fingerprint=asked.fingerprint(str(leaf.team_id), leaf.pk),
        team_id=leaf.team_id,
        root_id=leaf.root_id,
        parent_id=leaf.pk,
        level=leaf.level + 1,
        request=asked.to_json(),
        is_scoped=True,
    )


def is_current(child: Credential, leaf_id: str, settings: HopSettings, policy: TeamPolicy) -> bool:
    """Tell whether a child is of that leaf, and narrowed as the policy says by now."""
    said = child.request.get("scoped", {}).get("policy")
    return child.parent_id == leaf_id and said == scoped_policy_of(settings, policy)


def due(children: Sequence[Credential], now: datetime, *, asked: bool) -> None:
    """Have workers issue these children now. `asked`: a person waits for them."""
    Credential.objects.filter(pk__any_of=[each.pk for each in children]).update(
        due_at=now, asked_at=now if asked else None, attempts=0
    )
