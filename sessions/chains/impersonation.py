"""Check that nobody goes by another person's name in CloudTrail.

A session's template may not render as somebody else's handle, and a new handle may not be what some
session already shows. The second does not read every session: a role session name is at most as
long as a handle, so the templates that could render as the handle can be listed and looked up,
those without {alias} by their text, those with {alias} by the aliases that the handle contains.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Q
from django.db.models.functions import Lower

from sessions.aws.name_template import NameTemplate
from sessions.aws.names import InvalidName
from sessions.chains.names import effective_template
from sessions.models import CHAINED, AssumerLink, AwsName, AwsSession, Membership, Team, TeamPolicy
from sessions.models.sessions import shown_alias

HANDLE = NameTemplate("{username}")
ALIAS = "{alias}"
# With more templates than this, every session is read after all; that takes names like
# "aaaaaaaaaaaa".
MOST_TEMPLATES = 3000


def handles_of(team_id: Any) -> dict[str, int]:
    """Return {handle in lower case: the person's id} of a team's members."""
    members = Membership.objects.filter(team=team_id).values_list("user__aws_name", "user_id")
    return {handle.lower(): person for handle, person in members}


def conflicting_name(filled: NameTemplate, handles: Mapping[str, int]) -> str:
    """Return a name that a template gives one of these people and that is another's handle.

    Empty if there is none. `filled` has its alias and team filled in.
    """
    if not filled.names_a_person:
        name = filled.text
        return name if name.lower() in handles and len(handles) > 1 else ""
    # The text beside the handle has to be in the other handle as well; an alias mostly is in none.
    every_handle = "\n".join(handles)
    if any(piece.text.lower() not in every_handle for piece in filled.pieces):
        return ""
    for handle, person in handles.items():
        name = filled.with_handle(handle)
        if handles.get(name.lower(), person) != person:
            return name
    return ""


class ShownNames:
    """Find the names that CloudTrail shows; people and policies are read once."""

    def __init__(self) -> None:
        self.teams = {team.pk: team for team in Team.objects.select_related("policy")}
        self.members: dict[Any, dict[str, int]] = {}
        for team, handle, person in Membership.objects.values_list(
            "team_id", "user__aws_name", "user_id"
        ):
            self.members.setdefault(team, {})[handle.lower()] = person
        self.owners = dict(AwsName.objects.values_list("key", "person_id"))

    def include(self, handle: str, person_id: int | None = None) -> bool:
        """Check if a handle, of `person_id`, lets anybody go by another's name in any team."""
        for team, filled in self._filled_templates(handle.lower(), person_id):
            if not filled.names_a_person:
                if filled.text.lower() == handle.lower():
                    return True
                continue
            if (whose := filled.matches(handle)) and self.members.get(team, {}).get(
                whose.lower(), person_id
            ) != person_id:
                return True
            name = filled.with_handle(handle).lower()
            if name in self.owners and self.owners[name] != person_id:
                return True
        return False

    def _policy(self, team_id: Any) -> TeamPolicy:
        return getattr(self.teams[team_id], "policy", None) or TeamPolicy(team_id=team_id)

    def _default(self, team_id: Any) -> NameTemplate:
        return NameTemplate(self._policy(team_id).role_session_name)

    def _filled_templates(
        self, handle: str, person_id: int | None
    ) -> Iterator[tuple[Any, NameTemplate]]:
        """Yield (team's id, template with alias and team filled in) that could become that name."""
        found: set[tuple[Any, NameTemplate, str]] = set()
        for team, own, alias in self._links(handle, person_id):
            template = effective_template(own, self._policy(team))
            if template != HANDLE:
                found.add((team, template, alias if template.has_alias else ""))
        found |= {(team, self._default(team), "") for team in self._ruled_by_one_template()}
        for team, template, alias in found:
            try:
                yield team, template.fill(alias, self.teams[team].slug)
            except InvalidName:
                continue  # of before the rules, and never sent

    def _overruled(self) -> list[Any]:
        """Return the teams whose default template is another one than {username}."""
        return [team for team in self.teams if self._default(team) != HANDLE]

    def _ruled_by_one_template(self) -> set[Any]:
        overruled = [team for team in self._overruled() if not self._default(team).has_alias]
        if not overruled:
            return set()
        chained = AwsSession.objects.filter(team__in=overruled, kind=CHAINED).order_by()
        return set(chained.values_list("team", flat=True).distinct())

    def _links(self, handle: str, person_id: int | None) -> Iterable[tuple[Any, str, str]]:
        """Return the links to check: (team's id, own template, alias)."""
        there = AssumerLink.objects.filter(session__deletion=None)
        links = there.annotate(template=Lower("role_session_name"))
        names = self._names(handle, person_id)
        templates: set[str] = set()
        for name, inside in names:
            templates |= set(_templates_for(name, self._placeholders(name, inside)))
            if len(templates) > MOST_TEMPLATES:
                return links.values_list("session__team_id", "role_session_name", "session__alias")
        aliases = {part for name, _ in names for part in _parts(name)}
        unknown = Q(session__shown_alias=None) & (
            Q(role_session_name__contains=ALIAS) | Q(session__team__in=self._overruled())
        )
        columns = ("session__team_id", "role_session_name", "session__alias")
        return {
            *links.filter(template__in=templates - {HANDLE.text}).values_list(*columns),
            *links.filter(Q(session__shown_alias__in=aliases) | unknown).values_list(*columns),
        }

    def _names(self, handle: str, person_id: int | None) -> list[tuple[str, str]]:
        """Return the names that may appear, each with the handle that it contains.

        The handle is empty for a name that is nobody's.
        """
        handles = {each for members in self.members.values() for each in members}
        others = (name for name, owner in self.owners.items() if owner != person_id)
        return [
            (handle, ""),
            *((handle, each) for each in handles if each in handle and each != handle),
            *((name, handle) for name in others if handle in name and name != handle),
        ]

    def _placeholders(self, name: str, inside: str) -> list[tuple[str, str]]:
        slugs = (
            (team.slug.lower(), "{team}")
            for team in self.teams.values()
            if team.slug.lower() in name
        )
        return [*([(inside, HANDLE.text)] if inside else []), *slugs]


def _templates_for(name: str, placeholders: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the templates that render as that name with these values, whole or in part."""
    unfinished = [("", 0)]
    count = 0
    while unfinished and count <= MOST_TEMPLATES:
        text, at = unfinished.pop()
        if at == len(name):
            count += 1
            yield text
            continue
        unfinished.append((text + name[at], at + 1))
        for value, placeholder in placeholders:
            if value and name.startswith(value, at):
                unfinished.append((text + placeholder, at + len(value)))


def _parts(name: str) -> Iterator[str]:
    """Yield every substring of a name: it could be an alias."""
    for begin in range(len(name)):
        for end in range(begin + 1, len(name) + 1):
            yield name[begin:end]


def remember_aliases(most: int = 500) -> int:
    """Store how names show aliases saved without it. Run by the clock; returns how many."""
    unknown = list(
        AwsSession.objects.filter(shown_alias=None).only("pk", "alias").order_by()[:most]
    )
    for session in unknown:
        session.shown_alias = shown_alias(session.alias)
    AwsSession.objects.bulk_update(unknown, ["shown_alias"])
    return len(unknown)
