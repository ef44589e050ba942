"""Build what the templates show of a session."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions.activations.status import Status
from sessions.aws.roots import ROOT_KINDS
from sessions.catalog.team_view import Described, TeamView
from sessions.models import CHAINED, AwsSession, Problem
from sessions.permissions import Action

CHAINED_ICON = "link"
# How soon a live part asks again: quickly while something is on its way.
EAGER_SECONDS, CALM_SECONDS = 1, 5


def icon_of(kind: str) -> str:
    return CHAINED_ICON if kind == CHAINED else ROOT_KINDS[kind].icon


@dataclass(frozen=True)
class Row:
    """Hold one line of the list, which the session page shows at its top as well."""

    id: str
    alias: str
    kind: str
    kind_label: str
    icon: str
    is_chained: bool
    profile: str
    region: str
    sts_region: str
    account: str
    role: str
    chain: list[dict[str, Any]]
    cloudtrail_name: str
    cloudtrail_arn: str
    status: str
    expires_at: datetime | None
    minted_at: datetime | None
    next_rotation_at: datetime | None
    ends_at: datetime | None
    problem: Problem | None
    can_start: bool
    can_stop: bool
    can_rotate: bool
    can_take: bool
    can_edit: bool
    can_delete: bool
    can_chain: bool
    is_orphaned: bool
    is_restricted: bool
    labels: list[tuple[str, str]]  # name and colour
    is_sensitive: bool


def row_of(described: Described, view: TeamView) -> Row:
    session, state, rights = described.session, described.state, view.rights
    started = state.status is not Status.INACTIVE
    may_start = rights.can(Action.START, session)
    is_orphaned = session.is_chained and view.is_orphaned(session)
    return Row(
        id=str(session.pk),
        alias=session.alias,
        kind=session.kind,
        kind_label=str(session.get_kind_display()),
        icon=icon_of(session.kind),
        is_chained=session.is_chained,
        profile=session.profile,
        region=session.region,
        sts_region="" if session.is_chained else session.sts_home,
        account=described.account,
        role=described.role or _summary(session),
        chain=[_step(each, is_current=each.pk == session.pk) for each in described.chain],
        cloudtrail_name=described.cloudtrail_name,
        cloudtrail_arn=described.cloudtrail_arn,
        status=str(state.status),
        expires_at=state.expires_at,
        minted_at=state.minted_at,
        next_rotation_at=state.next_rotation_at,
        ends_at=state.ends_at,
        problem=state.problem,
        can_start=may_start and not started and not is_orphaned,
        can_stop=may_start and started,
        can_rotate=may_start and started,
        can_take=state.status is Status.ACTIVE and rights.can(Action.TAKE_CREDENTIALS, session),
        can_edit=rights.can(Action.EDIT, session),
        can_delete=rights.can(Action.DELETE, session),
        can_chain=rights.can(Action.USE_AS_ASSUMER, session)
        and len(described.chain) <= rights.actor.team.max_depth,
        is_orphaned=is_orphaned,
        is_restricted=not (session.open_to_start and session.open_to_assume),
        labels=[(each.name, each.colour) for each in session.labels_shown],
        is_sensitive=session.is_sensitive,
    )


def _summary(session: AwsSession) -> str:
    return "" if session.is_chained else ROOT_KINDS[session.kind].summary(session.settings)


def _step(session: AwsSession, *, is_current: bool) -> dict[str, Any]:
    return {
        "id": str(session.pk),
        "alias": session.alias,
        "icon": icon_of(session.kind),
        "kind_label": session.get_kind_display(),
        "is_current": is_current,
    }


def rows_of(view: TeamView, sessions: Iterable[AwsSession] | None = None) -> list[Row]:
    """Return rows by alias, so that the list does not reorder itself while it is read."""
    chosen = view.sessions.values() if sessions is None else sessions
    return sorted(
        (row_of(each, view) for each in view.describe_all(chosen)),
        key=lambda row: row.alias.casefold(),
    )


def live_seconds(rows: Iterable[Row]) -> int:
    under_way = (
        row.status == Status.PENDING and not (row.problem is not None and row.problem.waiting)
        for row in rows
    )
    return EAGER_SECONDS if any(under_way) else CALM_SECONDS
