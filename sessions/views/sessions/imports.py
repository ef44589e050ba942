"""Import AWS config files: upload, look at the preview, then save all that is chosen or nothing."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from sessions import tasks
from sessions.actors import Actor
from sessions.catalog.pending_imports import drop_pending, held, hold
from sessions.forms.imports.exporting import export
from sessions.forms.imports.preview import (
    DIFFERS,
    NEW,
    REFUSED,
    SAME,
    Preview,
    Row,
    preview,
    usable_assumers,
)
from sessions.forms.imports.saving import MOST_AT_ONCE, NotImported, import_chosen
from sessions.imports.exporting import FORMATS as EXPORTS
from sessions.imports.leapp import DECRYPT_COMMANDS
from sessions.imports.plan import CHAINED
from sessions.imports.reading import FORMATS, LARGEST, File, read
from sessions.models import AwsSession, TeamPolicy
from sessions.permissions import Action
from sessions.secret import Secret
from sessions.views.guards import confirm_first, member_in

MOST_FILES = 10
SHOWN = 500
STATES = {NEW: "New", SAME: "Same", DIFFERS: "Differs", REFUSED: "Not imported"}
BADGES = {NEW: "badge--good", DIFFERS: "badge--wait", REFUSED: "badge--bad"}


@login_required
@sensitive_post_parameters()
@sensitive_variables("files")
@require_http_methods(["GET", "HEAD", "POST"])
def import_files(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Take files in, pasted or uploaded; nothing is saved before the preview is confirmed."""
    actor = member_in(request, team_slug, Action.CREATE_CHAINED)
    error = ""
    if request.method == "POST":
        files, error = _sent(request)
        if files and not error:
            row = hold(files, actor)
            return redirect("import_preview", team_slug, row.pk)
        error = error or "Paste a file, or choose one."
    context = {
        "error": error,
        "formats": FORMATS,
        "commands": DECRYPT_COMMANDS,
        "chosen_format": request.POST.get("format", ""),
        "exports": [{"key": key, "label": each.label} for key, each in EXPORTS.items()],
    }
    return render(request, "sessions/import/files.html", context, status=422 if error else 200)


@sensitive_variables()
def _sent(request: HttpRequest) -> tuple[list[File], str]:
    """Return (the files that were sent, what is wrong with them)."""
    form = request.POST.get("format", "")
    form = form if form in FORMATS else ""
    uploaded = request.FILES.getlist("files")
    if left_out := getattr(request, "left_out", []):
        return [], f"{str(left_out[0])[:80]} is larger than 1 MB. Nothing was read."
    if len(uploaded) > MOST_FILES:
        return [], f"At most {MOST_FILES} files at once."
    files = []
    for each in uploaded:
        name = (each.name or "file")[:100]
        try:
            files.append(File(name, each.read().decode("utf-8"), form))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            return [], f"{name}, line {line}: this is no UTF-8 text. Nothing was read."
    pasted = request.POST.get("text", "")
    if pasted.strip():
        if len(pasted) > LARGEST:
            return [], "The pasted text is larger than 1 MB."
        files.append(File("pasted text", pasted, form))
    return files, ""


@login_required
@sensitive_post_parameters()
@sensitive_variables("files", "typed")
@require_http_methods(["GET", "HEAD", "POST"])
def import_preview(request: HttpRequest, team_slug: str, import_id: UUID) -> HttpResponse:
    """Show what uploaded files would become; on POST, import the chosen rows or discard all."""
    actor = member_in(request, team_slug, Action.CREATE_CHAINED)
    files = held(actor, import_id)
    if files is None:
        messages.error(request, "The preview has ended. Upload the files again.")
        return redirect("import", team_slug)
    if request.method == "POST" and "discard" in request.POST:
        drop_pending(actor)
        return redirect("import", team_slug)
    plan = read(files)
    numbered = dict(enumerate(plan.items))
    shown = preview(
        plan, actor, TeamPolicy.of(actor.team_id), _standing_in(request.GET, numbered, actor)
    )
    makes_roots = any(row.may_be_chosen and row.item.kind != CHAINED for row in shown.rows.values())
    if makes_roots and (first := confirm_first(request)):
        return first
    errors: Mapping[str, list[str]] = {}
    chosen = shown.usual_choice()
    if request.method == "POST":
        chosen = {
            numbered[int(each)]
            for each in request.POST.getlist("choose")
            if each.isascii() and each.isdigit() and int(each) in numbered
        }
        typed = {
            key: {
                "access_key_id": Secret(request.POST.get(f"id.{number}", "").strip()),
                "secret_access_key": Secret(request.POST.get(f"secret.{number}", "").strip()),
            }
            for number, key in numbered.items()
        }
        try:
            done = import_chosen(shown, actor, chosen, typed)
        except NotImported as refused:
            errors = refused.errors
        else:
            drop_pending(actor)
            tasks.wake_after_change()
            messages.success(request, _said(len(done.created), len(done.changed)))
            return redirect("session_list", team_slug)
    context = _context(request, actor, shown, chosen, errors, numbered)
    return render(request, "sessions/import/preview.html", context, status=422 if errors else 200)


def _said(created: int, changed: int) -> str:
    parts = []
    if created or not changed:
        parts.append(f"{created} session{'' if created == 1 else 's'} created")
    if changed:
        parts.append(f"{changed} changed")
    return f"Imported: {', '.join(parts)}."


def _standing_in(
    query: Mapping[str, Any], numbered: Mapping[int, str], actor: Actor
) -> dict[str, AwsSession]:
    """Return the sessions of the team that the address names in place of items."""
    asked: dict[str, UUID] = {}
    for number, key in numbered.items():
        if f"use.{number}" in query:
            try:
                asked[key] = UUID(str(query[f"use.{number}"]))
            except ValueError:
                continue
    found = AwsSession.objects.filter(team=actor.team_id, pk__any_of=list(asked.values())).in_bulk()
    return {key: found[each] for key, each in asked.items() if each in found}


def _context(
    request: HttpRequest,
    actor: Actor,
    shown: Preview,
    chosen: set[str],
    errors: Mapping[str, list[str]],
    numbered: Mapping[int, str],
) -> dict[str, Any]:
    numbers = {key: number for number, key in numbered.items()}
    rows = list(shown.rows.values())
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    return {
        "rows": [
            _row(row, numbers[row.key], row.key in chosen, errors.get(row.key, []))
            for row in rows[:SHOWN]
        ],
        "more": max(0, len(rows) - SHOWN),
        "errors": errors.get("", []),
        "has_errors": bool(errors),
        "refused": shown.plan.refused,
        "remarks": shown.plan.remarks,
        "missing": [
            {
                "number": numbers[row.key],
                "row": row,
                "chosen": request.GET.get(f"use.{numbers[row.key]}", ""),
            }
            for row in shown.missing
        ],
        "assumers": usable_assumers(actor) if shown.missing else [],
        "counts": [(STATES[state], count) for state, count in counts.items() if count],
        "can_import": any(row.may_be_chosen for row in rows) or bool(shown.plan.kept),
        "most_at_once": MOST_AT_ONCE,
        "kept": len(shown.plan.kept),
        "back": reverse("import", args=[actor.team.slug]),
    }


def _row(row: Row, number: int, chosen: bool, errors: list[str]) -> dict[str, Any]:
    return {
        "row": row,
        "number": number,
        "chosen": chosen,
        "errors": errors,
        "state_label": STATES[row.state],
        "badge": BADGES.get(row.state, ""),
        "target": row.values.get("role_arn") or row.item.settings.get("start_url", ""),
        "role": row.item.settings.get("role_name", ""),
        "account": row.item.settings.get("account_id", ""),
        "asks_id": "access_key_id" in row.needs,
        "asks_secret": "secret_access_key" in row.needs,
    }


@login_required
@require_safe
def export_sessions(request: HttpRequest, team_slug: str, format: str) -> HttpResponse:
    """Download the team's chains in the format of another tool, without secrets."""
    actor = member_in(request, team_slug)
    if format not in EXPORTS:
        raise Http404
    response = HttpResponse(export(actor, format), content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{EXPORTS[format].filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response
