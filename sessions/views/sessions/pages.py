"""Show the session list and the session page, with their live parts."""

import hashlib
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Count, F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from sessions.activations.moves import progress
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.arn import RoleArn
from sessions.aws.hop import Hop
from sessions.aws.parameters import parameters_of
from sessions.catalog.team_view import TeamView, view_of_sessions, view_of_team
from sessions.chains.requests import plan
from sessions.chains.scoping import refusal_of
from sessions.credentials.timing import PARENT_MARGIN
from sessions.db.clock import database_now
from sessions.ledger import events
from sessions.ledger.search import last_of_session
from sessions.models import (
    AssumerLink,
    AwsSession,
    Credential,
    Membership,
    SourceIdentity,
    User,
)
from sessions.monitoring.counters import saved_by_sharing
from sessions.permissions import Action, can, may_answer, memberships_of, require_fresh_groups
from sessions.roots import prompts
from sessions.roots.key_rotation import can_be_rotated
from sessions.snippets.arrangement import grouped, system_of
from sessions.snippets.fitting import fit_of
from sessions.views.guards import goes_on, member_in, session_for
from sessions.views.live_parts import asks_for_part
from sessions.views.sessions.preview import people_to_preview
from sessions.views.sessions.rows import Row, live_seconds, row_of, rows_of

STATUSES = ("active", "pending", "failed", "inactive")
EVENTS_SHOWN = 10
CHILDREN_SHOWN = 20
# Parameters of a hop that its facts show otherwise than as label and text.
SHOWN_APART = {
    *("role_arn", "role_session_name", "source_identity"),
    *("tags", "transitive_tag_keys", "policy", "policy_arns"),
}


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Redirect to the first of the person's teams; a page says so if there is none."""
    assert isinstance(request.user, User)
    member = memberships_of(request.user).first()
    if member is None:
        require_fresh_groups(request.user)
        return render(request, "people/no_team.html")
    return redirect("session_list", member.team.slug)


@login_required
@require_safe
def session_list(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List all sessions of a team, searchable.

    Its own table polls it, and then gets the rows alone.
    """
    actor = member_in(request, team_slug)
    view = view_of_team(actor, database_now())
    rows = rows_of(view)
    q, status = request.GET.get("q", "").strip(), request.GET.get("status", "")
    labels = sorted({each for row in rows for each in row.labels}, key=lambda each: each[0].lower())
    label = request.GET.get("label", "").strip()
    found = [row for row in rows if _matches(row, q) and _has_label(row, label)]
    counts = {"all": len(found)} | {
        each: sum(_counts_as(row, each) for row in found) for each in STATUSES
    }
    shown = [row for row in found if _counts_as(row, status)] if status in STATUSES else found
    may_create = can(actor, Action.CREATE_CHAINED)
    asked = prompts.in_team(actor.member, view.sessions.values(), view.now) if may_create else []
    seen = _digest(shown, counts, labels, [(each.root.pk, each.problem) for each in asked])
    partial = asks_for_part(request)
    if partial and request.headers.get("X-Seen") == seen:
        return HttpResponse(status=204)
    context = {
        "rows": shown,
        "seen": seen,
        "q": q,
        "status": status,
        "label_chosen": label,
        "labels": labels,
        "counts": counts,
        "total": len(rows),
        "live_seconds": live_seconds(rows),
        "may_create": may_create,
        "calls_saved": saved_by_sharing(actor.team_id),
        "waiting": asked,
        "next_url": request.get_full_path(),
    }
    return render(request, "sessions/_rows.html" if partial else "sessions/list.html", context)


def _digest(*shown: Any) -> str:
    """Return a digest of the rows; a poll with the same digest is answered without making them."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def _counts_as(row: Row, status: str) -> bool:
    """Tell whether a row has that status; a root has none of its own."""
    return row.is_chained and row.status == status


def _matches(row: Row, q: str) -> bool:
    """Tell whether every word of the search is somewhere in what the row shows."""
    text = " ".join(
        [
            row.alias,
            row.profile,
            row.region,
            row.account,
            row.role,
            row.cloudtrail_name,
            row.kind_label,
        ]
        + [step["alias"] for step in row.chain]
        + [name for name, _ in row.labels]
    ).casefold()
    return all(word in text for word in q.casefold().split())


def _has_label(row: Row, label: str) -> bool:
    return not label or any(name.lower() == label.lower() for name, _ in row.labels)


@login_required
@require_safe
def session_page(request: HttpRequest, session_id: UUID) -> HttpResponse:
    session, actor = session_for(request, session_id)
    context = session_context(request, session, actor) | {"goes_on": goes_on(request, session)}
    return render(request, "sessions/page.html", context)


@login_required
@require_safe
def session_state(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Show the live part of the session page."""
    session, actor = session_for(request, session_id)
    return render(request, "sessions/_live.html", session_context(request, session, actor))


def session_context(request: HttpRequest, session: AwsSession, actor: Actor) -> dict[str, Any]:
    """Return all that the session page shows; no secret is opened for it."""
    view = view_of_sessions(actor, database_now(), [session])
    session = view.sessions[session.pk]
    row = row_of(view.describe(session), view)
    links = _hops(view, session, actor.member)
    others = [each for each in people_to_preview(actor) if each.pk != actor.member.pk]
    root = view.chain_of(session)[0]
    asked = prompts.at_root(root, actor.member, view.now) if may_answer(actor, session) else None
    is_wanted = asked is not None and (
        asked.needs_code or asked.needs_approval or asked.needs_choice
    )
    return {
        "waiting": [asked]
        if is_wanted and (session == root or row.status != Status.INACTIVE)
        else [],
        "next_url": reverse("session", args=[session.pk]),
        "root_open_until": asked.open_until if asked is not None else None,
        "asks_for_approval": asked is not None and asked.asks_for_approval and session == root,
        "may_rotate_key": can_be_rotated(session) and can(actor, Action.EDIT, session),
        "row": row,
        "moving": progress(actor.team_id, session),
        "links": links,
        **_used_by(session),
        "fit": fit_of(request.build_absolute_uri("/"), is_private_ca=settings.CHAINWEB_PRIVATE_CA),
        "format_groups": grouped(system_of(request.headers.get("User-Agent", ""))),
        "unscoped": refusal_of(session, view.policy),
        "may_take": view.rights.can(Action.TAKE_CREDENTIALS, session),
        "may_share": view.rights.can(Action.SHARE, session),
        "events": _events(session, actor),
        "next_rotation_at": row.next_rotation_at,
        "last_success_at": row.minted_at,
        "live_seconds": live_seconds([row]),
        "member": actor.member,
        "others": others if session.is_chained else [],
    }


def _used_by(session: AwsSession) -> dict[str, Any]:
    """Return the first sessions that are assumed from this one, and how many more there are."""
    links = AssumerLink.objects.filter(assumer=session)
    # In the order of the index, not of the aliases: a root may have all sessions of the team to
    # sort.
    shown = links.order_by("pk").values(id=F("pk"), alias=F("session__alias"))[:CHILDREN_SHOWN]
    return {
        "dependants": sorted(shown, key=lambda each: each["alias"].casefold()),
        "dependants_more": max(links.count() - CHILDREN_SHOWN, 0),
    }


def _hops(view: TeamView, session: AwsSession, member: Membership) -> list[dict[str, Any]]:
    """Return the chain hop by hop, each with the state of its own credential."""
    chain = view.chain_of(session)
    if not session.is_chained or chain[0].is_chained:
        return []
    planned = plan(chain, member, view.policy)[1:]
    rows = Credential.objects.annotate(users=Count("activations__user", distinct=True)).in_bulk(
        [step.fingerprint for step in planned]
    )
    return [
        _hop(step.session, step.level, step.hop, rows.get(step.fingerprint), view)
        for step in planned
    ]


def _facts(hop: Hop) -> list[dict[str, str]]:
    """Return what a hop is set to, but for what the page shows in a place or manner of its own."""
    return [
        {"label": each.label, "text": ", ".join(each.kind.texts(getattr(hop, name)))}
        for name, each in parameters_of(Hop).items()
        if name not in SHOWN_APART and getattr(hop, name)
    ]


def _hop(session: AwsSession, level: int, hop: Any, row: Any, view: TeamView) -> dict[str, Any]:
    arn = RoleArn.parse(hop.role_arn)
    problem = row.problem_at(view.now) if row else None
    live = row is not None and row.is_live(view.now + PARENT_MARGIN)
    return {
        "number": level,
        "alias": session.alias,
        "session_id": str(session.pk),
        "account": arn.account,
        "role_arn": hop.role_arn,
        "role_session_name": hop.role_session_name,
        "cloudtrail_arn": arn.assumed_role_arn(hop.role_session_name),
        "facts": _facts(hop),
        "source_identity": hop.source_identity,
        "without_source_identity": session.link.without_source_identity
        and view.policy.source_identity == SourceIdentity.WHERE_POSSIBLE,
        "tags": [
            {"key": key, "value": value, "is_passed_on": key in hop.transitive_tag_keys}
            for key, value in hop.tags
        ],
        "policy_arns": hop.policy_arns,
        "has_policy": bool(session.link.policy),
        "networks": [*view.policy.networks, *session.link.networks]
        if hop.policy != session.link.policy
        else [],
        "packed_policy_size": row.packed_policy_size
        if row and (hop.policy or hop.policy_arns or hop.tags)
        else None,
        "expires_at": row.expires_at if live else None,
        "state": "problem" if problem and problem.hop == level else "live" if live else "missing",
        "problem": problem if problem and problem.hop == level else None,
        "shared_with": row.users if row else 0,
    }


def _events(session: AwsSession, actor: Actor) -> list[dict[str, Any]]:
    """Return the last events of this session.

    All for admins and auditors, else the member's own.
    """
    reads_all, name = can(actor, Action.READ_LEDGER), actor.username
    most = EVENTS_SHOWN if reads_all else EVENTS_SHOWN * 10
    some = last_of_session(actor.team_id, session.pk, most)
    said = ((line, events.read(line.kind, line.data)) for line in some)
    theirs = (
        (line, each)
        for line, each in said
        if reads_all or line.actor == name or each.concerns(name)
    )
    return [
        {"at": line.at, "actor": line.actor, "summary": each.summary()}
        for line, each in islice(theirs, EVENTS_SHOWN)
    ]
