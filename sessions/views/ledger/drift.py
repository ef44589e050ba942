"""Show name drift: what CloudTrail recorded, compared with what was issued."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from sessions import tasks
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.trail import lookup_form
from sessions.ledger.drift import imports
from sessions.ledger.drift.kinds import LABELS, Finding, Kind
from sessions.ledger.drift.search import (
    COUNTED,
    TrailSearch,
    count_of,
    counts_of,
    cursor_of,
    imports_of,
    record_of_team,
    record_read,
    records_of,
)
from sessions.ledger.drift.words import labels_of, session_label, why
from sessions.models import AwsSession, Membership, TrailImport, TrailRecord
from sessions.models.searches import SearchedPage
from sessions.permissions import Action, can
from sessions.views.guards import member_in, recently_logged_in, session_for
from sessions.views.ledger.members import members_named
from sessions.views.ledger.searches import saved_searches

SHOWN = 50
IMPORTS_SHOWN = 20
STARTED_SHOWN = 100
BADGES = {
    Kind.ISSUED: "good",
    Kind.AROUND: "bad",
    Kind.ROOT: "bad",
    Kind.UNKNOWN: "wait",
    Finding.BREAKS_POLICY: "wait",
    Finding.LACKS_IDENTITY: "wait",
}


@dataclass(frozen=True)
class Chip:
    """Draw one filter as a link, with how many records it finds."""

    label: str
    href: str
    count: str
    chosen: bool


@dataclass(frozen=True)
class Row:
    """Draw one record."""

    record: TrailRecord
    session: str
    badges: list[tuple[str, str]]
    people: list[str]

    @classmethod
    def of(cls, record: TrailRecord) -> "Row":
        badges = [(label, BADGES.get(value, "")) for value, label in labels_of(record)]  # type: ignore[call-overload]  # enums of text
        return cls(record, session_label(record), badges, record.people)


@login_required
@require_safe
def drift(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List imports and what their records turned out to be; filters and pages are links."""
    actor = member_in(request, team_slug, Action.READ_LEDGER)
    search = _search_of(request)
    found = records_of(actor.team_id, search, SHOWN + 1)
    if search.after is None and search.asked() and request.method == "GET":
        record_read(actor, search.asked())
    context = {
        **_imports(actor),
        **saved_searches(actor, SearchedPage.DRIFT, search.asked()),
        **_rows(actor, found, search.asked()),
        "chips": _chips(actor, search),
        "search": search,
        "is_later_page": search.after is not None,
        "only": _import(actor, search.import_id),
        "started": _started(actor),
    }
    return render(request, "ledger/drift.html", context)


@login_required
@require_safe
def drift_imports(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Show how far the imports have come, as the page's live part."""
    actor = member_in(request, team_slug, Action.READ_LEDGER)
    return render(request, "ledger/_imports.html", _imports(actor))


@login_required
@require_POST
def upload_trail(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Take log files in; workers read them."""
    actor = member_in(request, team_slug, Action.IMPORT_TRAIL)
    files = request.FILES.getlist("files")
    for each in files:
        try:
            imports.take_file(actor, each.name or "", each.chunks())
        except Refused as refused:
            messages.error(request, f"{imports.file_name(each.name or '')}: {refused.message}")
    left_out: list[str] = getattr(request, "left_out", [])
    for name in left_out:
        most = imports.LARGEST_UPLOAD // 1024**2
        told = f"{imports.file_name(name)} was left out: at most {most} MB at once."
        messages.error(request, told)
    if not files and not left_out:
        messages.error(request, "Choose a log file first.")
    tasks.wake_for_trail()
    return redirect("drift", team_slug)


@login_required
@require_POST
def look_up_trail(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Have workers walk through LookupEvents with a session that the caller has started."""
    actor = member_in(request, team_slug, Action.IMPORT_TRAIL)
    form = lookup_form(request.POST)
    if not form.is_valid():
        messages.error(
            request, " ".join(each for said in form.problems().values() for each in said)
        )
        return redirect("drift", team_slug)
    session, _ = session_for(request, form.cleaned_data["session"], Action.TAKE_CREDENTIALS)
    if session.team_id != actor.team_id:
        raise Http404
    typed = form.cleaned_data
    try:
        imports.start_lookup(actor, session, typed["region"], typed["since"], typed["until"])
    except Refused as refused:
        messages.error(request, refused.message)
    tasks.wake_for_trail()
    return redirect("drift", team_slug)


@recently_logged_in
@require_POST
def delete_trail(request: HttpRequest, team_slug: str, import_id: UUID) -> HttpResponse:
    """Delete an import with its records."""
    actor = member_in(request, team_slug, Action.IMPORT_TRAIL)
    if not TrailImport.objects.filter(pk=import_id, team=actor.team_id).exists():
        raise Http404
    imports.delete_import(actor, import_id)
    tasks.wake_for_trail()
    messages.success(request, "Import deleted, with its records.")
    return redirect("drift", team_slug)


@login_required
@require_safe
def trail_record(request: HttpRequest, team_slug: str, record_id: int) -> HttpResponse:
    """Show one record: what it says, what it turned out to be, and why."""
    actor = member_in(request, team_slug, Action.READ_LEDGER)
    record = record_of_team(actor.team_id, record_id)
    if record is None:
        raise Http404
    if request.method == "GET":
        record_read(actor, {"record": record.detail["event_id"] or str(record.pk)})
    maker = record_of_team(actor.team_id, record.made_by or 0)
    context = {
        "row": Row.of(record),
        "why": why(record),
        "maker": Row.of(maker) if maker else None,
        "session": _session(actor, record.issued_for),
        "people": _people(actor, [record]),
        "facts": _facts(record),
        "asked": record.access_key_id or record.detail["arn"] or record.principal_id,
    }
    return render(request, "ledger/trail_record.html", context)


@login_required
@require_safe
def session_calls(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """List the calls that were made under exactly the keys issued for a session."""
    session, actor = session_for(request, session_id, Action.READ_LEDGER)
    call = request.GET.get("call", "")
    try:
        typed = TrailSearch.read(call=call, cursor=request.GET.get("after", ""))
    except ValueError:
        raise BadRequest("This address asks for no records.") from None
    search = TrailSearch(session=str(session.pk), call=typed.call, after=typed.after)
    found = records_of(actor.team_id, search, SHOWN + 1)
    if search.after is None and request.method == "GET":
        record_read(actor, {"session": session.alias} | ({"call": call} if call else {}))
    chips = [
        Chip(
            label,
            f"?{urlencode({'call': value})}" if value else "?",
            _counted(count_of(actor.team_id, TrailSearch(session=str(session.pk), call=value))),
            value == call,
        )
        for value, label in (
            ("", "Calls"),
            ("denied", "Denied"),
            ("failed", "Failed"),
            ("changes", "Changes"),
        )
    ]
    asked = {"call": call} if call else {}
    context = {
        "session": session,
        **_rows(actor, found, asked),
        "chips": chips,
        "is_later_page": search.after is not None,
        "has_imports": bool(imports_of(actor.team_id, 1)),
    }
    return render(request, "ledger/session_calls.html", context)


def _search_of(request: HttpRequest) -> TrailSearch:
    get = request.GET.get
    try:
        return TrailSearch.read(
            get("finding", ""), get("import", ""), get("key", ""), cursor=get("after", "")
        )
    except ValueError:
        raise BadRequest("This address asks for no records.") from None


def _import(actor: Actor, import_id: UUID | None) -> TrailImport | None:
    if import_id is None:
        return None
    return TrailImport.objects.filter(team=actor.team_id, pk=import_id).first()


def _started(actor: Actor) -> list[AwsSession]:
    """List the sessions that the actor has started, to look CloudTrail up with."""
    if not can(actor, Action.TAKE_CREDENTIALS):
        return []
    started = AwsSession.objects.filter(
        team=actor.team_id, activations__user=actor.user, activations__ends_at__gt=database_now()
    )
    return list(started.order_by("alias")[:STARTED_SHOWN])


def _imports(actor: Actor) -> dict[str, Any]:
    found = imports_of(actor.team_id, IMPORTS_SHOWN)
    return {
        "imports": found,
        "unfinished": any(each.state in imports.UNFINISHED for each in found),
        "may_import": can(actor, Action.IMPORT_TRAIL),
        "most_megabytes": imports.LARGEST_UPLOAD // 1024**2,
    }


def _rows(actor: Actor, found: list[TrailRecord], asked: dict[str, str]) -> dict[str, Any]:
    shown = found[:SHOWN]
    after = cursor_of(shown[-1]) if len(found) > SHOWN else ""
    return {
        "rows": [Row.of(each) for each in shown],
        "people": _people(actor, shown),
        "older": f"?{urlencode(asked | {'after': after})}" if after else "",
        "newest": f"?{urlencode(asked)}",
    }


def _people(actor: Actor, records: list[TrailRecord]) -> dict[str, Membership]:
    return members_named(actor.team_id, (name for each in records for name in each.people))


def _chips(actor: Actor, search: TrailSearch) -> list[Chip]:
    asked = {name: value for name, value in search.asked().items() if name != "finding"}
    counts = counts_of(actor.team_id)
    chips = [Chip("All", f"?{urlencode(asked)}", "", search.finding is None)]
    return chips + [
        Chip(
            f"{label[0].upper()}{label[1:]}",
            f"?{urlencode({'finding': finding.value} | asked)}",
            "" if asked else _counted(counts[finding]),
            search.finding == finding,
        )
        for finding, label in LABELS.items()
        if counts[finding] or search.finding == finding
    ]


def _counted(count: int) -> str:
    return f"{COUNTED:,}+" if count > COUNTED else str(count)


def _session(actor: Actor, session_id: str) -> AwsSession | None:
    if not session_id:
        return None
    return AwsSession.objects.filter(pk=session_id, team=actor.team_id).first()


def _facts(record: TrailRecord) -> list[tuple[str, str]]:
    said = record.detail
    made = said["made"] or {}
    facts = [
        ("Identity", said["type"]),
        ("ARN", said["arn"]),
        ("Principal id", record.principal_id),
        ("Access key id", record.access_key_id),
        ("Source identity", record.source_identity),
        ("Session began", f"{record.began_at:%Y-%m-%d %H:%M:%S} UTC" if record.began_at else ""),
        *((f"Also, by {field}", name) for field, name in said["also"]),
        ("Made for", made.get("role_arn", "")),
        ("Made session", made.get("name", "")),
        ("Made key", made.get("key", "")),
        ("Invoked by", said["invoked_by"]),
        ("Address", record.address),
        ("Client", said["agent"]),
        ("Account", record.account),
        ("Region", record.region),
        ("Error", said["error"]),
        ("Message", said["message"]),
        ("Request", str(said["request"] or "")),
        ("Event id", said["event_id"]),
        ("Shared event id", said["shared_id"]),
        ("Request id", said["request_id"]),
        ("Line in the file", str(said["line"])),
    ]
    return [(name, value) for name, value in facts if value]
