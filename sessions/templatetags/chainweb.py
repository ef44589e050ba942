"""Draw what templates need often: icons, moments, the rest of a credential's life."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from lucide.templatetags.lucide import lucide

from sessions.aws.roots import ROOT_KINDS

register = template.Library()

# Below this SDKs begin to refresh.
SHORT = timedelta(minutes=15)

# Every icon the pages use; a root kind brings its own. A name that is not here fails where it is
# used.
ICONS = frozenset(
    {
        *(
            "activity",
            "arrow-left",
            "check",
            "chevron-down",
            "chevron-left",
            "chevron-right",
            "circle",
            "circle-alert",
            "circle-check",
        ),
        *(
            "circle-dashed",
            "circle-x",
            "clock",
            "cloud",
            "copy",
            "download",
            "upload",
            "ellipsis",
            "external-link",
            "eye",
            "eye-off",
            "flask-conical",
        ),
        *(
            "info",
            "key-round",
            "keyboard",
            "link",
            "list-tree",
            "loader-circle",
            "log-in",
            "log-out",
            "mail",
            "monitor",
            "moon",
            "octagon-alert",
            "pencil",
            "play",
        ),
        *(
            "plus",
            "rotate-cw",
            "shuffle",
            "search",
            "settings",
            "shield-alert",
            "shield-check",
            "square",
            "sun",
            "tag",
            "trash-2",
            "upload",
        ),
        *("triangle-alert", "upload", "user-check", "users", "x"),
        *(kind.icon for kind in ROOT_KINDS.values()),
    }
)


@register.simple_tag
@cache
def icon(name: str, extra: str = "") -> SafeString:
    """Draw an icon of the page's sprite.

    It needs a name beside it or on its button.
    """
    if name not in ICONS:
        raise template.TemplateSyntaxError(
            f"There is no icon {name!r} in the sprite: add it to ICONS."
        )
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" aria-hidden="true"><use href="#i-{}"/></svg>',
        extra,
        name,
    )


@register.simple_tag
@cache
def icon_sprite() -> SafeString:
    """Render all icons once per page, so that each use in a long list is a short reference."""
    symbols = "".join(lucide(name, id=f"i-{name}") for name in sorted(ICONS))
    return mark_safe(f'<svg class="sprite" aria-hidden="true"><defs>{symbols}</defs></svg>')  # noqa: S308  (ours)


@register.simple_tag
def server_time() -> str:
    """Return the server's time: the countdowns on the page go by it, not by the browser's."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@register.simple_tag
def until(moment: datetime | None) -> SafeString:
    """Show when something ends: "until 14:05 UTC", which a script makes "52 min left"."""
    return _time(moment, "until", "until ")


@register.simple_tag
def more(moment: datetime | None) -> SafeString:
    """Show for how long: "until 14:05 UTC", which a script makes "for 52 min more"."""
    return _time(moment, "more", "until ")


@register.simple_tag
def at(moment: datetime | None) -> SafeString:
    """Show a moment to come: "at 14:05 UTC", which a script makes "in 12 min"."""
    return _time(moment, "at", "at ")


@register.simple_tag
def since(moment: datetime | None) -> SafeString:
    """Show a past moment: "14:05 UTC", which a script makes "5 min ago"."""
    return _time(moment, "since", "")


def _time(moment: datetime | None, how: str, before: str) -> SafeString:
    if moment is None:
        return SafeString("")
    moment = moment.astimezone(UTC)
    same_day = moment.date() == datetime.now(UTC).date()
    return format_html(
        '<time datetime="{}" data-{}>{}{} UTC</time>',
        moment.isoformat(timespec="seconds"),
        how,
        before,
        f"{moment:%H:%M}" if same_day else f"{moment.day} {moment:%b %Y %H:%M}",
    )


@register.simple_tag
def meter(percent: int) -> SafeString:
    """Draw how much of a limit is used as a bar; the text beside it says the same."""
    return format_html(
        '<svg class="meter {}" viewBox="0 0 100 4" preserveAspectRatio="none"'
        ' aria-hidden="true"><rect class="meter__whole" width="100" height="4"/><rect'
        ' class="meter__used" width="{}" height="4"/></svg>',
        "meter--full" if percent >= 80 else "",
        max(0, min(100, percent)),
    )


@register.simple_tag
def ring(minted_at: datetime | None, expires_at: datetime | None) -> SafeString:
    """Draw how much of a credential's life is left as a ring; the text beside it says the same."""
    if minted_at is None or expires_at is None or expires_at <= minted_at:
        return icon("circle")
    now = datetime.now(UTC)
    left = (expires_at - now) / (expires_at - minted_at)
    return format_html(
        '<svg class="ring {}" viewBox="0 0 16 16" aria-hidden="true" data-from="{}"'
        ' data-until="{}"><circle class="ring__whole" cx="8" cy="8" r="6"/><circle'
        ' class="ring__left" cx="8" cy="8" r="6" pathLength="100" stroke-dasharray="{} 100"'
        ' transform="rotate(-90 8 8)"/></svg>',
        "ring--short" if expires_at - now < SHORT else "",
        minted_at.isoformat(timespec="seconds"),
        expires_at.isoformat(timespec="seconds"),
        max(0, min(100, round(100 * left))),
    )


@register.filter
def initials(name: str) -> str:
    """Return one or two letters that stand for a person's name: "ada.lovelace" is "AL"."""
    words = [word for word in re.split(r"[^\w]+|_", name) if word]
    return "".join(word[0] for word in (words if len(words) > 1 else [name[:1]])[:2]).upper() or "?"


@register.filter
def lookup(found: Mapping[str, Any], name: str) -> Any:
    """Return what a mapping has under that name, or None: `{{ people|lookup:name }}`."""
    return found.get(name)
