"""Choose one session of a team by name: the first of them, and a search among the rest."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from sessions.actors import Actor
from sessions.aws.arn import InvalidArn, RoleArn
from sessions.models import CHAINED, AwsSession, GrantedRight, SessionGrant
from sessions.models.sessions import load_chains
from sessions.permissions import Action, PermissionChecker, grants_to

SHOWN = 20
# What does not suit is left out after reading; so many are looked at before the rest is left to the
# search.
LOOKS = 4
# Each word is a condition, and a database takes only so many of them.
MOST_WORDS = 8
STEP = " › "


@dataclass(frozen=True)
class Offer:
    """Hold the offered sessions, each with its label; `more`: the search finds others."""

    choices: list[tuple[str, str]]
    more: bool

    def longest_first(self) -> "Offer":
        """Order chains by their number of hops: the longest shows the most."""
        return replace(self, choices=sorted(self.choices, key=lambda each: -each[1].count(STEP)))


Finder = Callable[[str, str], Offer]


def assumers(actor: Actor, editing: AwsSession | None = None) -> Finder:
    """Offer the sessions that an actor may assume from.

    Each with its kind or account and its own chain.
    """

    def find(q: str, chosen: str) -> Offer:
        found = AwsSession.objects.filter(team=actor.team)
        if not actor.is_admin:
            granted = SessionGrant.objects.filter(
                grants_to(actor.member), right=GrantedRight.ASSUME
            ).values("session")
            found = found.filter(Q(open_to_assume=True) | Q(pk__in=granted))
        return _offer(
            found, actor, q, chosen, lambda chain, rights: _assumer(chain, rights, editing)
        )

    return find


def _assumer(chain: list[AwsSession], rights: PermissionChecker, editing: AwsSession | None) -> str:
    """Label an assumer by what it is and how it is reached; empty if it cannot be one."""
    session, actor = chain[-1], rights.actor
    if len(chain) > actor.team.max_depth or not rights.can(Action.USE_AS_ASSUMER, session):
        return ""
    if editing is not None and any(each.pk == editing.pk for each in chain):
        return ""
    if not session.is_chained:
        return f"{session.alias} — {session.get_kind_display()}"
    return f"{session.alias} — account {_account(session)} — {_way(chain)}"


def any_of_team(actor: Actor) -> Finder:
    """Offer every session of the team by its alias."""

    def find(q: str, chosen: str) -> Offer:
        found = AwsSession.objects.filter(team=actor.team)
        return _offer(found, actor, q, chosen, lambda chain, rights: chain[-1].alias)

    return find


def chained(actor: Actor) -> Finder:
    """Offer the chained sessions of the team, each by its chain."""

    def find(q: str, chosen: str) -> Offer:
        found = AwsSession.objects.filter(team=actor.team, kind=CHAINED)
        return _offer(found, actor, q, chosen, lambda chain, rights: _way(chain)).longest_first()

    return find


def _account(session: AwsSession) -> str:
    try:
        return RoleArn.parse(session.link.role_arn).account
    except InvalidArn:
        return ""


def _way(chain: list[AwsSession]) -> str:
    return STEP.join(each.alias for each in chain)


def _offer(
    found: QuerySet[AwsSession],
    actor: Actor,
    q: str,
    chosen: str,
    label: Callable[[list[AwsSession], PermissionChecker], str],
) -> Offer:
    found = found.select_related("link").defer("sealed_secrets").order_by(Lower("alias"), "pk")
    choices: dict[str, str] = {}
    if chosen:
        choices |= _labelled(found.filter(pk=chosen), actor, label)
    for word in q.split()[:MOST_WORDS]:
        found = found.filter(
            Q(alias__icontains=word)
            | Q(profile__icontains=word)
            | Q(link__role_arn__icontains=word)
        )
    for look in range(LOOKS):
        some = list(found[look * SHOWN : (look + 1) * SHOWN + 1])
        for pk, text in _labelled(some[:SHOWN], actor, label).items():
            if len(choices) >= SHOWN:
                return Offer(_sorted(choices), more=True)
            choices[pk] = text
        if len(some) <= SHOWN:
            return Offer(_sorted(choices), more=False)
        if len(choices) >= SHOWN:
            break
    return Offer(_sorted(choices), more=True)


def _sorted(choices: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(choices.items(), key=lambda choice: choice[1].casefold())


def _labelled(
    sessions: Any, actor: Actor, label: Callable[[list[AwsSession], PermissionChecker], str]
) -> dict[str, str]:
    chains = load_chains(sessions, broken=True)
    rights = PermissionChecker(actor, list(chains))
    labels = {str(pk): label(chain, rights) for pk, chain in chains.items()}
    return {pk: text for pk, text in labels.items() if text}


class SessionPicker(forms.Select):
    """Choose among the offered sessions, with a search beside them once there are more.

    `url` answers the search while somebody types. Without scripts it is sent with the form, which
    is then shown again: see `is_searching`.
    """

    def __init__(self, find: Finder, *, empty_label: str, url: str) -> None:
        super().__init__()
        self.find, self.empty_label, self.url = find, empty_label, url
        self.q = ""
        self.is_searching = False

    def use_required_attribute(self, initial: Any) -> bool:
        return bool(self.is_required)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        self.q = str(data.get(f"{name}.q", "")).replace("\x00", "").strip()
        self.is_searching = (
            f"{name}.find" in data or self.q != str(data.get(f"{name}.searched", "")).strip()
        )
        return super().value_from_datadict(data, files, name)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Render the choice with what the search finds.

        The search itself is shown only where it is of use.
        """
        all_attrs = self.build_attrs(self.attrs, {**(attrs or {}), "name": name})
        shown = {key: text for key, text in all_attrs.items() if text not in (None, False)}
        context = {**self.found(value), "attrs": shown, "name": name, "id": shown.get("id", name)}
        return SafeString(render_to_string("components/_session_picker.html", context))

    def found(self, value: Any) -> dict[str, Any]:
        """Return what the templates show of a search."""
        chosen = _id(value)
        offer = self.find(self.q, chosen)
        choices = [("", self.empty_label), *offer.choices] if self.empty_label else offer.choices
        options = format_html_join(
            "\n",
            '<option value="{}"{}>{}</option>',
            (
                (pk, SafeString(" selected") if pk and pk == chosen else "", text)
                for pk, text in choices
            ),
        )
        return {
            "options": options,
            "q": self.q,
            "has_search": bool(offer.more or self.q),
            "more": offer.more,
            "shown": len(offer.choices),
            "url": self.url,
        }


def is_searching(form: forms.Form) -> bool:
    """Tell if a browser without scripts used a form's search; it is shown again unchecked."""
    if not form.is_bound:
        return False
    for name, field in form.fields.items():
        if isinstance(field.widget, SessionPicker):
            _ = form[name].data  # which has the widget read it
            if field.widget.is_searching:
                form.errors.clear()
                return True
    return False


def _id(value: Any) -> str:
    """Return an id as text, of a session or as typed; empty for what is none."""
    try:
        return str(AwsSession._meta.pk.to_python(getattr(value, "pk", value)) or "")
    except forms.ValidationError:
        return ""
