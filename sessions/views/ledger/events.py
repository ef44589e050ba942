"""Search the team's events, and open one of them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from sessions.actors import Actor
from sessions.forms.ledger import GROUPS, EventSearchForm, search_form
from sessions.ledger import length
from sessions.ledger.downloads import FORMATS
from sessions.ledger.events import KINDS, Changing
from sessions.ledger.origin import KEY as ORIGIN
from sessions.ledger.reading import lines_for, reads_all, record_search
from sessions.ledger.removed import removed_of
from sessions.ledger.search import Lines
from sessions.ledger.story import label, shown, story_of
from sessions.ledger.timeline import timeline_of
from sessions.models import AwsSession
from sessions.models.searches import SearchedPage
from sessions.views.guards import member_in
from sessions.views.ledger.rows import rows_of
from sessions.views.ledger.searches import saved_searches
from sessions.views.ledger.timeline import Picture, picture_of
from sessions.views.live_parts import asks_for_part

SHOWN = 50
CURSOR = "before"
# Filters that are of use to those who read others' events.
OF_OTHERS = frozenset({"person", "held"})


@dataclass(frozen=True)
class Filter:
    """Describe one field of the search: what is chosen, and the link without it."""

    name: str
    label: str
    value: str
    shown: str
    without: str
    rest: dict[str, str]


@login_required
@require_safe
def events(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List the events that a search in the address finds, the newest first.

    Members see their own.
    """
    actor = member_in(request, team_slug)
    form = search_form(request.GET)
    context: dict[str, Any] = _frame(actor, form)
    context |= saved_searches(actor, SearchedPage.EVENTS, form.asked())
    if not form.is_valid():
        return render(request, "ledger/events.html", context, status=422)
    cursor, asked = _cursor(request), form.asked()
    if cursor is None and request.method == "GET":
        record_search(actor, asked)
    lines = lines_for(actor, form.search())
    found = lines.newest(SHOWN, before=cursor)
    context |= {
        "rows": rows_of(found, actor),
        "picture": _picture(lines, team_slug, asked) if cursor is None else None,
        "older": _address(team_slug, asked | {CURSOR: str(found[-1].seq)})
        if len(found) == SHOWN
        else "",
        "is_later_page": cursor is not None,
    }
    if not context["older"]:
        context["removed"] = removed_of(actor.team_id)
    part = asks_for_part(request) and cursor is not None
    return render(request, "ledger/_rows.html" if part else "ledger/events.html", context)


def _picture(lines: Lines, team_slug: str, asked: dict[str, str]) -> Picture | None:
    timeline = timeline_of(lines)
    return picture_of(timeline, team_slug, asked) if timeline else None


def _cursor(request: HttpRequest) -> int | None:
    """Return the number before which a page begins; anything else is the first page."""
    text = request.GET.get(CURSOR, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _frame(actor: Actor, form: EventSearchForm) -> dict[str, Any]:
    asked, slug = form.asked(), actor.team.slug
    filters = [
        Filter(
            name,
            str(field.label or name.capitalize()),
            asked.get(name, ""),
            (name == "root" and _alias_of(actor, asked.get(name, ""))) or asked.get(name, ""),
            _address(slug, {key: value for key, value in asked.items() if key != name}),
            {key: value for key, value in asked.items() if key != name},
        )
        for name, field in form.fields.items()
    ]
    everyone = reads_all(actor)
    return {
        "form": form,
        "reads_all": everyone,
        "asked": asked,
        "filters": [
            each
            for each in filters
            if (each.value or each.name != "root") and (everyone or each.name not in OF_OTHERS)
        ],
        "groups": sorted(GROUPS),
        "kinds": sorted((kind.label, tag) for tag, kind in KINDS.items()),
        "total": length(actor.team_id) if everyone else None,
        "formats": FORMATS,
        "newest": _address(slug, asked),
    }


def _alias_of(actor: Actor, root: str) -> str:
    """Return the alias of a root, as far as it is still there."""
    try:
        there = AwsSession.objects.filter(pk=root, team=actor.team_id)
    except ValidationError:
        return ""
    return there.values_list("alias", flat=True).first() or ""


def _address(team_slug: str, asked: dict[str, str]) -> str:
    query = f"?{urlencode(asked)}" if asked else ""
    return reverse("events", args=[team_slug]) + query


@login_required
@require_safe
def event(request: HttpRequest, team_slug: str, seq: int) -> HttpResponse:
    """Show one event with what it changed and what belongs to it.

    The list asks for its row alone: opened, or `?closed` again.
    """
    context: dict[str, Any]
    actor = member_in(request, team_slug)
    lines = lines_for(actor)
    line = lines.get(seq)
    if line is None:
        removed = removed_of(actor.team_id)
        if removed is None or seq > removed.seq:
            raise Http404
        context = {"removed": removed, "seq": seq}
        return render(request, "ledger/removed.html", context, status=410)
    [row] = rows_of([line], actor)
    context = {"row": row, "reads_all": reads_all(actor)}
    part = asks_for_part(request)
    if not (part and "closed" in request.GET):
        story = story_of(line, lines)
        # What it changed has a table of its own.
        hidden = {ORIGIN, "before"} if isinstance(story.said, Changing) else {ORIGIN}
        related = [story.signed_by, story.issued, *story.signs, *story.taken]
        rows = {
            each.seq: each
            for each in rows_of([each for each in related if each is not None], actor)
        }
        context |= {
            "opened": True,
            "story": story,
            "signed_by": rows.get(story.signed_by.seq) if story.signed_by else None,
            "issued": rows.get(story.issued.seq) if story.issued else None,
            "signs": [rows[each.seq] for each in story.signs],
            "taken": [rows[each.seq] for each in story.taken],
            "facts": [
                (label(key), shown(value))
                for key, value in line.data.items()
                if key not in hidden and value not in (None, "", [], {})
            ],
            "total": length(actor.team_id) if reads_all(actor) else None,
        }
    return render(request, "ledger/_event.html" if part else "ledger/event.html", context)
