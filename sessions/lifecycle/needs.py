"""Who a credential is for: the members whose activations or probes rest on it, directly or further down its chain."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import F

from sessions.models import Activation, AwsSession, Credential, Probe


@dataclass(frozen=True)
class Need:
    """One person's reason for a credential. `direct`: it is what they take away; otherwise a hop on their way."""

    person: str
    session: AwsSession | None
    direct: bool


def needs_of(fingerprints: Collection[str]) -> dict[str, list[Need]]:
    """{fingerprint: needs}; one that nobody needs has an empty list. Only members of today, who may log in, count.

    A handful of queries whatever the number: one per level of the chains below, at most.
    """
    found: dict[str, list[Need]] = {fingerprint: [] for fingerprint in fingerprints}
    standing_for: dict[str, set[str]] = {fingerprint: {fingerprint} for fingerprint in fingerprints}
    while standing_for:
        for credential_id, need in _direct_needs(standing_for):
            for top in standing_for[credential_id]:
                found[top].append(
                    need if top == credential_id else Need(need.person, need.session, direct=False)
                )
        below: dict[str, set[str]] = {}
        children = Credential.objects.filter(parent_id__in=standing_for).values_list("pk", "parent_id")
        for child, parent in children:
            below.setdefault(child, set()).update(standing_for[str(parent)])
        standing_for = below
    return found


def _direct_needs(fingerprints: Collection[str]) -> list[tuple[str, Need]]:
    activations = Activation.objects.filter(
        credential_id__in=fingerprints, user__is_active=True, user__memberships__team=F("session__team")
    ).select_related("session", "user")
    probes = Probe.objects.filter(
        credential_id__in=fingerprints, user__is_active=True, user__memberships__team=F("team")
    ).select_related("session", "user")
    return [
        *((a.credential_id, Need(a.user.get_username(), a.session, direct=True)) for a in activations),
        *((str(p.credential_id), Need(p.user.get_username(), p.session, direct=True)) for p in probes),
    ]
