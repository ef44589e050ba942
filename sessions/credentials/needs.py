"""Find the members whose activations, probes or deliveries rest on a credential."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable

from sessions.db.clock import Now
from sessions.ledger import Subject
from sessions.models import Activation, Credential, Delivery, GrantedRight, Probe, SessionGrant
from sessions.models.forest import above
from sessions.permissions import OPERATORS, descendants, orphaned_links, with_fresh_groups

Row = TypeVar("Row", bound=Model)
MEMBERSHIP = "user__memberships__"


@dataclass(frozen=True)
class Need:
    """Hold one person's need of a credential; `direct`: as their own, not as a hop on the way."""

    person: str
    session: Subject | None
    direct: bool


def needs_of(fingerprints: Collection[str]) -> dict[str, list[Need]]:
    """Return {fingerprint: the needs of people who have the right to it now, empty if none}.

    It takes a few queries for each level of the chains below, however many fingerprints.
    """
    found: dict[str, list[Need]] = {fingerprint: [] for fingerprint in fingerprints}
    for depth, standing_for in enumerate(_levels_below(fingerprints)):
        for credential_id, need in _needs_at(standing_for, direct=depth == 0):
            for top in standing_for[credential_id]:
                found[top].append(need)
        for credential_id, need in _deliveries_at(standing_for, direct=depth == 0):
            for top in standing_for[credential_id]:
                # However many devices fetch it, it is one person's need of the hops above.
                if not any(_is_same(need, each) for each in found[top]):
                    found[top].append(need)
    return found


def _is_same(one: Need, other: Need) -> bool:
    return (one.person, one.session) == (other.person, other.session)


def with_all_below(fingerprints: Iterable[str]) -> set[str]:
    """Find these credentials and all that rest on them. A query a level."""
    found, frontier = set(fingerprints), set(fingerprints)
    while frontier:
        below = Credential.objects.filter(parent_id__any_of=frontier).values_list("pk", flat=True)
        frontier = set(below) - found
        found |= frontier
    return found


def _levels_below(fingerprints: Collection[str]) -> Iterator[dict[str, set[str]]]:
    """Yield {credential: those of the fingerprints that it rests on}, level by level."""
    standing_for: dict[str, set[str]] = {fingerprint: {fingerprint} for fingerprint in fingerprints}
    while standing_for:
        yield standing_for
        children: dict[str, set[str]] = {}
        rows = Credential.objects.filter(parent_id__any_of=standing_for)
        for child, parent in rows.values_list("pk", "parent_id"):
            children.setdefault(child, set()).update(standing_for[str(parent)])
        standing_for = children


def _needs_at(fingerprints: Collection[str], *, direct: bool) -> list[tuple[str, Need]]:
    # Plain values: model instances of three tables would cost more than the sealing and signing of
    # a hop's ledger line.
    started = Activation.objects.filter(credential_id__any_of=fingerprints)
    tried = Probe.objects.filter(credential_id__any_of=fingerprints)
    activations = list(
        rightful(started, with_fresh_groups(MEMBERSHIP)).values_list(
            "credential_id", "user__username", "session_id", "session__alias", "session__team_id"
        )
    )
    probes = list(
        rightful_probes(tried, with_fresh_groups(MEMBERSHIP)).values_list(
            "credential_id",
            "user__username",
            "session_id",
            "session__alias",
            "team_id",
            "assumer_id",
        )
    )
    orphaned = descendants(
        orphaned_links({row[4] for row in activations}, among=above(started.values("session")))
        | orphaned_links(
            {row[4] for row in probes}, among=above(tried.exclude(assumer=None).values("assumer"))
        )
    )
    needs = [
        (str(credential_id), Need(person, Subject(session_id, alias), direct))
        for credential_id, person, session_id, alias, _ in activations
        if session_id not in orphaned
    ]
    for credential_id, person, session_id, alias, _, assumer_id in probes:
        if assumer_id not in orphaned:
            subject = Subject(session_id, alias or "") if session_id else None
            needs.append((str(credential_id), Need(person, subject, direct)))
    return needs


def _deliveries_at(fingerprints: Collection[str], *, direct: bool) -> list[tuple[str, Need]]:
    """Find the deliveries of these credentials whose activation is rightful and whose token lives.

    A chain without an owner has none: its leaf is not issued either.
    """
    asked = rightful_deliveries(Delivery.objects.filter(credential_id__any_of=fingerprints))
    rows = list(
        asked.values_list(
            "credential_id",
            "activation__user__username",
            "activation__session_id",
            "activation__session__alias",
            "team_id",
        )
    )
    if not rows:
        return []
    sessions = Activation.objects.filter(deliveries__credential_id__any_of=fingerprints)
    orphaned = descendants(
        orphaned_links({row[4] for row in rows}, among=above(sessions.values("session")))
    )
    return [
        (str(credential_id), Need(person, Subject(session_id, alias), direct))
        for credential_id, person, session_id, alias, _ in rows
        if session_id not in orphaned
    ]


def rightful_deliveries(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Keep the deliveries that still may be made: by activation, person, right and token."""
    of_these = Activation.objects.filter(pk__in=deliveries.values("activation"))
    started = rightful(of_these, with_fresh_groups(MEMBERSHIP)).filter(ends_at__gt=Now())
    has_token = Q(token__revoked_at=None, token__expires_at__gt=Now())
    return deliveries.filter(
        Q(token=None) | has_token,
        credential__team=F("team"),
        activation__in=started.values("pk"),
        ends_at__gt=Now(),
    )


def rightful(activations: QuerySet[Activation], *also: Q) -> QuerySet[Activation]:
    """Keep the activations whose person may start the session now: member, active, granted.

    `also`: further conditions on the membership, such as the age of groups. Groups that are too old
    end nothing, but nothing is minted for them.
    """
    granted = _granted(GrantedRight.START, session=OuterRef("session"))
    working = _of_working_members(activations, "session__team", *also)
    return working.filter(Q(session__open_to_start=True) | granted)


def rightful_probes(probes: QuerySet[Probe], *also: Q) -> QuerySet[Probe]:
    """Keep the probes whose person may assume from the draft's assumer now."""
    granted = _granted(GrantedRight.ASSUME, session=OuterRef("assumer"))
    is_admin = Q(user__memberships__role="admin")
    return _of_working_members(
        probes, "team", is_admin | Q(assumer__open_to_assume=True) | granted, *also
    )


def _of_working_members(rows: QuerySet[Row], team: str, *also: Combinable | Q) -> QuerySet[Row]:
    # One filter() for all of it, so that all of it is about one and the same membership. Another
    # team's credential is no need.
    return rows.filter(
        *also,
        credential__team=F(team),
        user__is_active=True,
        user__memberships__team=F(team),
        user__memberships__disabled_at=None,
        user__memberships__role__in=OPERATORS,
    )


def _granted(right: GrantedRight, session: OuterRef) -> Exists:
    person = OuterRef("user")
    grants = SessionGrant.objects.filter(session=session, right=right)
    return Exists(grants.filter(Q(member__user=person) | Q(group__members__user=person)))
