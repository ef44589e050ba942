"""From a session and a person to the AssumeRole requests of its chain, and the credential rows that answer them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sessions.aws.hop import Hop, root_fingerprint
from sessions.aws.names import render_role_session_name
from sessions.aws.roots import ROOT_KINDS
from sessions.models import AssumerLink, AwsSession, Credential, Membership

# A one-hour credential is rotated between its 35th and 40th minute: SDKs want one with 15 minutes left.
ROTATE_AFTER = (35 / 60, 40 / 60)
# A parent has to live only while its child is being assumed; a minute covers time-outs and a skewed clock.
PARENT_MARGIN = timedelta(seconds=60)
# What is handed out has this much life left while STS answers; SDKs begin to refresh below it.
LEAST_LIFE = timedelta(minutes=15)


@dataclass(frozen=True)
class PlannedHop:
    """One step of a chain for one person. Level 0 is the root, where nothing is assumed and `hop` is None."""

    level: int
    session: AwsSession
    fingerprint: str
    parent_fingerprint: str | None
    hop: Hop | None

    @property
    def region(self) -> str:
        return self.session.region


def resolve_hop(link: AssumerLink, session: AwsSession, member: Membership) -> Hop:
    """What the AssumeRole call of that link says for that person. Raises `InvalidName` if no legal name comes out."""
    name = render_role_session_name(
        link.role_session_name,
        {"username": member.user.aws_name, "alias": session.alias, "team": member.team.slug},
    )
    return Hop(role_arn=link.role_arn, role_session_name=name, external_id=link.external_id)


def plan(chain: Sequence[AwsSession], member: Membership) -> list[PlannedHop]:
    """The whole way from the root (first of `chain`) to the session (last of it), for that person."""
    root = chain[0]
    kind = ROOT_KINDS[root.kind]
    person = str(member.user_id) if kind.per_person else ""
    fingerprint = root_fingerprint(
        str(root.team_id), str(root.pk), root.kind, root.secret_version, root.settings, person=person
    )
    hops = [PlannedHop(0, root, fingerprint, None, None)]
    for level, session in enumerate(chain[1:], start=1):
        hop = resolve_hop(session.link, session, member)
        parent = hops[-1].fingerprint
        hops.append(PlannedHop(level, session, hop.fingerprint(str(root.team_id), parent), parent, hop))
    return hops


def rotation_time(minted_at: datetime, expires_at: datetime) -> datetime:
    """When to replace a credential: at 35–40 sixtieths of its life, spread so that no herd forms."""
    return minted_at + (expires_at - minted_at) * random.uniform(*ROTATE_AFTER)  # noqa: S311  (spreading, not secrecy)


def secure(planned: Sequence[PlannedHop], now: datetime, *, force: bool = False) -> Credential:
    """Makes the rows of a plan exist and due where they hold nothing usable; returns the leaf.

    Call it inside a transaction that holds the team's lock. `force` has the leaf minted anew even if it is live.
    A refusal of an earlier try is lifted: a person asks again.
    """
    root = planned[0].session
    Credential.objects.bulk_create(
        [
            Credential(
                fingerprint=step.fingerprint,
                team_id=root.team_id,
                root=root,
                parent_id=step.parent_fingerprint,
                level=step.level,
                request=step.hop.to_json() if step.hop else {},
                region=step.region,
            )
            for step in planned
        ],
        ignore_conflicts=True,
    )
    rows = {
        row.fingerprint: row
        for row in Credential.objects.select_for_update()
        .filter(pk__in=[step.fingerprint for step in planned])
        .order_by("level")
    }
    leaf = rows[planned[-1].fingerprint]
    for row in rows.values():
        changes: dict[str, Any] = {}
        if row.level == 0:
            continue
        if row is leaf:
            if force or not row.is_live(now + LEAST_LIFE):
                changes = {"due_at": now, "attempts": 0}
            elif row.due_at is None and row.minted_at and row.expires_at:
                changes = {"due_at": rotation_time(row.minted_at, row.expires_at)}
        elif not row.is_live(now + PARENT_MARGIN) and not leaf.is_live(now + LEAST_LIFE):
            changes = {"due_at": now, "attempts": 0}
        if changes:
            Credential.objects.filter(pk=row.pk).update(**changes)
            for name, value in changes.items():
                setattr(row, name, value)
    return leaf
