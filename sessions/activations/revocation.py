"""End activations and probes whose right has ended."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from sessions.activations.start_stop import delete_probes, end_at_once
from sessions.credentials.needs import rightful, rightful_probes
from sessions.ledger import Entry
from sessions.models import (
    Activation,
    AssumerLink,
    Probe,
    Team,
)
from sessions.permissions import below, cut_off


def end_unauthorized(
    team: Team,
    actor: str,
    *,
    people: Collection[int] | None = None,
    sessions: Collection[UUID] | None = None,
    cut_links: Collection[UUID] | None = None,
) -> list[Entry]:
    """End activations and probes that nobody has the right to any more.

    After every change of rights, under the team's lock.

    Where these are many, they end here as well, and the clock clears them away in parts, with its
    own lines.

    `people`, `sessions`: whose rights, or the rights to what, have changed; only what rests on
    these is looked at. `cut_links`: which links of theirs are cut off by now, where the caller
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
    dead = below(cut_off([team.pk], among=links.values("pk")) if cut_links is None else cut_links)
    lost = Q(pk__in=concerned.exclude(pk__in=rightful(concerned).values("pk")).values("pk"))
    over = lost | Q(session_id__any_of=dead) if dead else lost
    entries = end_at_once(activations.filter(over), actor)
    probes = Probe.objects.filter(team=team).exclude(credential=None)
    if probes.exists():
        allowed = rightful_probes(probes).exclude(assumer_id__any_of=dead)
        delete_probes(probes.exclude(pk__in=allowed.values("pk")))
    return entries
