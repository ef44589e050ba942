"""Turn a session and a person into their chain's AssumeRole requests and credential rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions.aws.hop import Hop, root_fingerprint
from sessions.aws.roots import ROOT_KINDS
from sessions.chains.names import resolve_hops
from sessions.credentials import bulk_write
from sessions.credentials.timing import LEAST_LIFE, PARENT_MARGIN, rotation_time
from sessions.models import AwsSession, Credential, Membership, TeamPolicy


@dataclass(frozen=True)
class PlannedHop:
    """Hold one step of a chain for one person.

    Level 0 is the root, where nothing is assumed and `hop` is None.
    """

    level: int
    session: AwsSession
    fingerprint: str
    parent_fingerprint: str | None
    hop: Hop | None
    request: dict[str, Any]


def plan(chain: Sequence[AwsSession], member: Membership, policy: TeamPolicy) -> list[PlannedHop]:
    """Return the steps from root (first of `chain`) to session (last) for a person."""
    root = chain[0]
    person = str(member.user_id) if ROOT_KINDS[root.kind].per_person else ""
    fingerprint = fingerprint_of_root(root, person)
    planned = [PlannedHop(0, root, fingerprint, None, None, _root_request(root, person))]
    hops = resolve_hops(chain, member, policy)
    for level, (session, hop) in enumerate(zip(chain[1:], hops, strict=True), start=1):
        parent = planned[-1].fingerprint
        fingerprint = hop.fingerprint(str(root.team_id), parent)
        planned.append(PlannedHop(level, session, fingerprint, parent, hop, hop.to_json()))
    return planned


def ensure_credentials(
    planned: Sequence[PlannedHop], now: datetime, *, force: bool = False, asked: bool = True
) -> Credential:
    """Ensure that a plan's rows exist, and are due unless usable; return the leaf.

    See `ensure_all_credentials`.
    """
    return ensure_all_credentials([planned], now, force=force, asked=asked)[0]


def ensure_all_credentials(
    plans: Sequence[Sequence[PlannedHop]],
    now: datetime,
    *,
    force: bool = False,
    asked: bool = True,
) -> list[Credential]:
    """Ensure the credentials of several plans of one team; return their leaves, in order.

    Call it inside a transaction that holds the team's lock; it takes a few queries, however many
    plans there are. `force` has live leaves minted again. `asked`: a person waits, so they go ahead
    of bulk. Rejected rows are tried again even while the leaf lives: a person asks again, or an
    edit has changed what was rejected. Live hops on the way are used as they are.
    """
    rows = _rows_of(plans)
    leaves = [rows[planned[-1].fingerprint] for planned in plans]
    wanted: dict[str, Credential] = {}
    for planned, leaf in zip(plans, leaves, strict=True):
        leaf_is_wanted = force or not leaf.is_live(now + LEAST_LIFE) or _stands_rejected(leaf)
        if leaf_is_wanted:
            wanted[leaf.pk] = leaf
        elif leaf.due_at is None and leaf.minted_at and leaf.expires_at:
            leaf.due_at = rotation_time(leaf.minted_at, leaf.expires_at)
            Credential.objects.filter(pk=leaf.pk).update(due_at=leaf.due_at)
        on_the_way = [rows[step.fingerprint] for step in planned[:-1]]
        wanted |= {
            row.pk: row
            for row in on_the_way
            if (row.level > 0 or row.is_cached_root)
            and not row.is_live(now + PARENT_MARGIN)
            # An expired row is minted when the leaf needs it; a rejected one is not claimed even
            # then.
            and (leaf_is_wanted or _stands_rejected(row))
        }
    if wanted:
        asked_at = now if asked else None
        Credential.objects.filter(pk__any_of=wanted).update(
            due_at=now, attempts=0, asked_at=asked_at
        )
        for row in wanted.values():
            row.due_at, row.attempts, row.asked_at = now, 0, asked_at
    return leaves


def affected_by_edit(plans: Sequence[Sequence[PlannedHop]]) -> set[str]:
    """Find the rejected rows among the planned: an edit retries these, even as the same request."""
    rows = Credential.objects.filter(
        pk__any_of={step.fingerprint for planned in plans for step in planned}
    )
    return set(rows.filter(problem__isnull=False).values_list("pk", flat=True))


def _stands_rejected(row: Credential) -> bool:
    """Tell whether a row was not issued; a person who asks does not wait for its next try."""
    return row.problem is not None


def root_row(root: AwsSession, person: str = "", *, make: bool = False) -> Credential | None:
    """Return the row of a root's own credentials, by its settings; None if there is none.

    `person` is a user's id where each person has their own. `make`: a missing row is made, for what
    rests on it from the same transaction on.
    """
    fingerprint = fingerprint_of_root(root, person)
    row = Credential.objects.filter(pk=fingerprint).first()
    if row is None and make:
        row = _row(fingerprint, root, level=0, request=_root_request(root, person))
        row.save(force_insert=True)
    return row


def fingerprint_of_root(root: AwsSession, person: str) -> str:
    """Return the fingerprint of a root's own credentials under its settings and key of now."""
    team, kind = str(root.team_id), root.kind
    return root_fingerprint(
        team, str(root.pk), kind, root.secret_version, root.settings, person=person
    )


def _root_request(root: AwsSession, person: str) -> dict[str, Any]:
    caches = ROOT_KINDS[root.kind].caches_credentials(root.settings)
    return {"keeps": True, "person": person} if caches else {}


def _rows_of(plans: Sequence[Sequence[PlannedHop]]) -> dict[str, Credential]:
    """Lock these plans' rows and make the missing ones; the team's lock keeps others from it."""
    steps = {step.fingerprint: (step, planned[0].session) for planned in plans for step in planned}
    found = Credential.objects.select_for_update().filter(pk__any_of=steps).order_by("level")
    rows = {row.fingerprint: row for row in found}
    made = [
        _row(
            fingerprint,
            root,
            parent_id=step.parent_fingerprint,
            level=step.level,
            request=step.request,
        )
        for fingerprint, (step, root) in steps.items()
        if fingerprint not in rows
    ]
    bulk_write.add(made)
    return rows | {row.fingerprint: row for row in made}


def _row(fingerprint: str, root: AwsSession, **fields: Any) -> Credential:
    assert root.team_id is not None  # nothing is planned for what is deleted
    return Credential(fingerprint=fingerprint, team_id=root.team_id, root=root, **fields)
