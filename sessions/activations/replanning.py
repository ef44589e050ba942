"""Point activations at what their chains ask for now, or end those that became another identity."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from sessions import ledger
from sessions.activations.cleanup import PLANS_AT_ONCE, delete_activations, erase_all_unneeded
from sessions.aws.names import InvalidName
from sessions.chains.identity import IdentityEdit, identity_of, notify_ended, started_identities
from sessions.chains.requests import (
    PlannedHop,
    affected_by_edit,
    ensure_all_credentials,
    plan,
)
from sessions.credentials.timing import LEAST_LIFE
from sessions.models import (
    Activation,
    AwsSession,
    Membership,
    Move,
    TeamPolicy,
)
from sessions.models.sessions import load_chains


def replan_activations(
    started: QuerySet[Activation],
    now: datetime,
    *,
    asked: bool = False,
    edit: IdentityEdit | None = None,
) -> int:
    """Point these activations at the credentials that their chains ask for now; count the moved.

    Call it under the team's lock; after an edit call `moves.follow`. `asked`: people wait for it.
    An activation stays as it is if its chain leads to no root or has no name to send: nothing of it
    is delivered. It ends if its chain leads to another identity than was started, with a notice
    about `edit`.
    """
    activations = list(started.select_related("session", "user", "credential"))
    sessions = {each.session_id: each.session for each in activations}
    chains = load_chains(sessions.values(), broken=True)
    activations = end_other_identities(activations, chains, edit, now)
    teams = {each.session.team_id for each in activations}
    policies = {team_id: TeamPolicy.of(team_id) for team_id in teams}
    memberships = Membership.objects.filter(
        team__in=teams, user__in=[each.user_id for each in activations]
    )
    members: dict[tuple[UUID | None, int], Membership] = {
        (each.team_id, each.user_id): each for each in memberships.select_related("team", "user")
    }
    replanned = [
        (each, planned)
        for each in activations
        if (member := members.get((each.session.team_id, each.user_id)))
        and (planned := _planned(chains[each.session_id], member, policies[member.team_id]))
    ]
    affected = affected_by_edit([planned for _, planned in replanned])
    stale = []
    for activation, planned in replanned:
        held = activation.credential
        is_unchanged = (
            planned[-1].fingerprint == held.pk and held.due_at and held.is_live(now + LEAST_LIFE)
        )
        if not is_unchanged or any(step.fingerprint in affected for step in planned):
            stale.append((activation, planned))
    moved: list[Activation] = []
    left: list[str] = []
    for at in range(0, len(stale), PLANS_AT_ONCE):
        some = stale[at : at + PLANS_AT_ONCE]
        leaves = ensure_all_credentials([planned for _, planned in some], now, asked=asked)
        for (activation, _), leaf in zip(some, leaves, strict=True):
            if activation.credential_id != leaf.pk:
                left.append(activation.credential_id)
                activation.credential = leaf
                moved.append(activation)
    Activation.objects.bulk_update(moved, ["credential"], batch_size=PLANS_AT_ONCE)
    erase_all_unneeded(left)
    return len(moved)


def end_other_identities(
    activations: Sequence[Activation],
    chains: Mapping[UUID, Sequence[AwsSession]],
    edit: IdentityEdit | None,
    now: datetime,
) -> list[Activation]:
    """End activations whose chain leads to another identity by now; return the others."""
    held = started_identities(activations)
    kept: list[Activation] = []
    ended: list[Activation] = []
    for each in activations:
        chain = chains[each.session_id]
        is_same = chain[0].is_chained or identity_of(chain) == held[each.pk]
        (kept if is_same else ended).append(each)
    by_team: dict[UUID | None, list[Activation]] = {}
    for each in ended:
        by_team.setdefault(each.session.team_id, []).append(each)
    for team_id, some in by_team.items():
        delete_activations([each.pk for each in some])
        erase_all_unneeded(each.credential_id for each in some)
        known = edit or _identity_edit(chains[some[0].session_id])
        ledger.append(team_id, notify_ended(some, known, now))
    return kept


def _identity_edit(chain: Sequence[AwsSession]) -> IdentityEdit | None:
    """Find the edit of a chain that a worker has still to follow; None: nobody knows any more."""
    edits = Move.objects.filter(session_id__any_of=[each.pk for each in chain], why__isnull=False)
    said = edits.order_by("-created_at").values_list("why", flat=True).first()
    return IdentityEdit(**said) if said else None


def _planned(
    chain: Sequence[AwsSession], member: Membership, policy: TeamPolicy
) -> Sequence[PlannedHop] | None:
    if chain[0].is_chained:
        return None
    try:
        return plan(chain, member, policy)
    except InvalidName:
        return None
