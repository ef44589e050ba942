"""From a session and a person to the AssumeRole requests of its chain, and the credential rows that answer them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions.aws.hop import Hop, root_fingerprint
from sessions.aws.roots import ROOT_KINDS
from sessions.lifecycle.naming import resolve_hops
from sessions.lifecycle.times import LEAST_LIFE, PARENT_MARGIN, rotation_time
from sessions.models import AwsSession, Credential, Membership, TeamPolicy


@dataclass(frozen=True)
class PlannedHop:
    """One step of a chain for one person. Level 0 is the root, where nothing is assumed and `hop` is None."""

    level: int
    session: AwsSession
    fingerprint: str
    parent_fingerprint: str | None
    hop: Hop | None
    request: dict[str, Any]

    @property
    def region(self) -> str:
        return self.session.region


def plan(chain: Sequence[AwsSession], member: Membership, policy: TeamPolicy) -> list[PlannedHop]:
    """The whole way from the root (first of `chain`) to the session (last of it), for that person under that policy."""
    root = chain[0]
    kind = ROOT_KINDS[root.kind]
    person = str(member.user_id) if kind.per_person else ""
    fingerprint = root_fingerprint(
        str(root.team_id), str(root.pk), root.kind, root.secret_version, root.settings, person=person
    )
    kept = {"keeps": True, "person": person} if kind.keeps_base(root.settings) else {}
    planned = [PlannedHop(0, root, fingerprint, None, None, kept)]
    hops = resolve_hops(chain, member, policy)
    for level, (session, hop) in enumerate(zip(chain[1:], hops, strict=True), start=1):
        parent = planned[-1].fingerprint
        fingerprint = hop.fingerprint(str(root.team_id), parent)
        planned.append(PlannedHop(level, session, fingerprint, parent, hop, hop.to_json()))
    return planned


def secure(
    planned: Sequence[PlannedHop], now: datetime, *, force: bool = False, asked: bool = True
) -> Credential:
    """Makes the rows of a plan exist and due where they hold nothing usable; returns the leaf.

    Call it inside a transaction that holds the team's lock. `force` has the leaf minted anew even if it is live. `asked`:
    a person waits for it, so it goes ahead of the bulk. A refusal of an earlier try is lifted: a person asks again.
    """
    rows = _rows_of(planned)
    leaf = rows[planned[-1].fingerprint]
    wanted: list[Credential] = []
    for row in rows.values():
        if row.level == 0 and not row.is_kept_base:
            continue
        if row is leaf:
            if force or not row.is_live(now + LEAST_LIFE):
                wanted.append(row)
            elif row.due_at is None and row.minted_at and row.expires_at:
                row.due_at = rotation_time(row.minted_at, row.expires_at)
                Credential.objects.filter(pk=row.pk).update(due_at=row.due_at)
        elif not row.is_live(now + PARENT_MARGIN) and not leaf.is_live(now + LEAST_LIFE):
            wanted.append(row)
    if wanted:
        asked_at = now if asked else None
        Credential.objects.filter(pk__in=[row.pk for row in wanted]).update(
            due_at=now, attempts=0, asked_at=asked_at
        )
        for row in wanted:
            row.due_at, row.attempts, row.asked_at = now, 0, asked_at
    return leaf


def root_row(root: AwsSession, person: str = "", *, make: bool = False) -> Credential | None:
    """The row of a root's base credentials by its settings of now; `person` is an id where they are each person's own.

    `make`: it is made if it is not there; then whoever needs it follows in the same transaction.
    """
    fingerprint = root_fingerprint(
        str(root.team_id), str(root.pk), root.kind, root.secret_version, root.settings, person=person
    )
    row = Credential.objects.filter(pk=fingerprint).first()
    if row is None and make:
        request = {"keeps": True, "person": person} if ROOT_KINDS[root.kind].keeps_base(root.settings) else {}
        row = Credential.objects.create(
            fingerprint=fingerprint,
            team_id=root.team_id,
            root=root,
            level=0,
            request=request,
            region=root.region,
        )
    return row


def _rows_of(planned: Sequence[PlannedHop]) -> dict[str, Credential]:
    """The rows of a plan, root first, locked; those that are missing are made. The team's lock keeps others from making them."""
    fingerprints = [step.fingerprint for step in planned]
    found = Credential.objects.select_for_update().filter(pk__in=fingerprints).order_by("level")
    rows = {row.fingerprint: row for row in found}
    if len(rows) < len(planned):
        root = planned[0].session
        made = [
            Credential(
                fingerprint=step.fingerprint,
                team_id=root.team_id,
                root=root,
                parent_id=step.parent_fingerprint,
                level=step.level,
                request=step.request,
                region=step.region,
            )
            for step in planned
            if step.fingerprint not in rows
        ]
        Credential.objects.bulk_create(made)
        rows |= {row.fingerprint: row for row in made}
    return {step.fingerprint: rows[step.fingerprint] for step in planned}
