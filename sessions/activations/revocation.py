"""End activations and probes whose right has ended."""

from collections.abc import Collection, Sequence
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from sessions.activations.ending import delete_probes, end_activations, mark_ended
from sessions.actors import AnyActor
from sessions.credentials.needs import rightful, rightful_probes
from sessions.ledger import Entry
from sessions.locks import parts
from sessions.locks.busy_teams import skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import (
    Activation,
    AssumerLink,
    Probe,
    Team,
)
from sessions.permissions import descendants, orphaned_links


def end_unauthorized(
    team: Team,
    actor: AnyActor,
    *,
    people: Collection[int] | None = None,
    sessions: Collection[UUID] | None = None,
    orphaned_ids: Collection[UUID] | None = None,
) -> list[Entry]:
    """End activations and probes that nobody has the right to any more.

    After every change of rights, under the team's lock.

    Without the right they open nothing from then on. Many are over right after the transaction, in
    parts, and the clock clears them away with its own lines.

    `people`, `sessions`: whose rights, or the rights to what, have changed; only what rests on
    these is looked at. `orphaned_ids`: which links of theirs are orphaned by now, where the caller
    knows.
    """
    activations = Activation.objects.filter(session__team=team)
    links = AssumerLink.objects.filter(session__team=team)
    concerned = activations
    if people is not None:
        concerned, links = activations.filter(user__in=people), links.filter(author__in=people)
    if sessions is not None:
        concerned, links = (
            activations.filter(session_id__any_of=sessions),
            links.filter(assumer_id__any_of=sessions),
        )
    # Found as ids: a walk within the condition would be taken for each row.
    orphaned = descendants(
        orphaned_links([team.pk], among=links.values("pk"))
        if orphaned_ids is None
        else orphaned_ids
    )
    lost = Q(pk__in=concerned.exclude(pk__in=rightful(concerned).values("pk")).values("pk"))
    over = lost | Q(session_id__any_of=orphaned) if orphaned else lost
    # Looked for once: what loses its right is found by a walk through the team.
    ids = list(activations.filter(over).order_by().values_list("pk", flat=True))
    entries: list[Entry] = []
    if len(ids) > parts.AT_ONCE:
        transaction.on_commit(partial(_mark_in_parts, team.pk, ids), robust=True)
    else:
        entries = end_activations(Activation.objects.filter(pk__any_of=ids), actor)
    probes = Probe.objects.filter(team=team).exclude(credential=None)
    if probes.exists():
        allowed = rightful_probes(probes).exclude(assumer_id__any_of=orphaned)
        delete_probes(probes.exclude(pk__in=allowed.values("pk")))
    return entries


def _mark_in_parts(team_id: UUID, activations: Sequence[UUID]) -> None:
    """Mark these activations as ended in parts, so that none goes on if its right comes back."""
    for some in parts.in_parts(activations, parts.MARKED_AT_ONCE):
        with skip_if_busy() as skipped, transaction.atomic():
            lock_team(team_id)
            mark_ended(Activation.objects.filter(pk__any_of=some))
        if skipped:
            return
