"""A handle says in CloudTrail who it was: whether a role session name would come out as the handle of somebody else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Q

from sessions.aws.names import InvalidName, filled_in
from sessions.lifecycle.naming import effective_template
from sessions.models import AssumerLink, AwsName, Membership, Team, TeamPolicy

HANDLE = "{username}"


@dataclass(frozen=True)
class Shape:
    """A template with all but the handle filled in: its pieces, None where the handle goes.

    A name that has to be shortened is longer than any handle, so only whole ones matter here.
    """

    pieces: tuple[str | None, ...]

    @classmethod
    def of(cls, template: str, alias: str, team_slug: str) -> "Shape":
        """Raises `InvalidName`."""
        return cls(filled_in(template, {"alias": alias, "team": team_slug}))

    @cached_property
    def is_fixed(self) -> bool:
        return None not in self.pieces

    def name(self, handle: str) -> str:
        return "".join(handle if piece is None else piece for piece in self.pieces)

    def whose(self, name: str) -> str:
        """The handle that comes out as that name, in whatever case; empty if there is none."""
        places = self.pieces.count(None)
        length, rest = divmod(len(name) - len(self.name("")), places) if places else (0, 0)
        if length < 1 or rest:
            return ""
        start = len("".join(piece or "" for piece in self.pieces[: self.pieces.index(None)]))
        handle = name[start : start + length]
        return handle if self.name(handle).lower() == name.lower() else ""


def handles_of(team_id: Any) -> dict[str, int]:
    """{handle in lower case: the person's id} of a team's members."""
    members = Membership.objects.filter(team=team_id).values_list("user__aws_name", "user_id")
    return {handle.lower(): person for handle, person in members}


def clash(shape: Shape, handles: Mapping[str, int]) -> str:
    """A name by which one of these people would go though it is another's handle; empty if there is none."""
    if shape.is_fixed:
        name = shape.name("")
        return name if name.lower() in handles and len(handles) > 1 else ""
    for handle, person in handles.items():
        name = shape.name(handle)
        if handles.get(name.lower(), person) != person:
            return name
    return ""


class ShownNames:
    """What all sessions of the installation say in CloudTrail, read once."""

    def __init__(self) -> None:
        self.shapes = list(self._shapes())
        self.members: dict[Any, dict[str, int]] = {}
        for team, handle, person in Membership.objects.values_list("team_id", "user__aws_name", "user_id"):
            self.members.setdefault(team, {})[handle.lower()] = person
        self.owners = dict(AwsName.objects.values_list("key", "person_id"))

    def include(self, handle: str, person_id: int | None = None) -> bool:
        """Whether with that handle one person would go by another's name, in whatever team. `person_id`: whose it would be."""
        for team, shape in self.shapes:
            if shape.is_fixed:
                if shape.name("").lower() == handle.lower():
                    return True
                continue
            if (whose := shape.whose(handle)) and self.members.get(team, {}).get(
                whose.lower(), person_id
            ) != person_id:
                return True
            name = shape.name(handle).lower()
            if name in self.owners and self.owners[name] != person_id:
                return True
        return False

    @staticmethod
    def _shapes() -> Iterator[tuple[Any, Shape]]:
        """(team's id, what it makes of handles), each once."""
        policies = {policy.pk: policy for policy in TeamPolicy.objects.all()}
        slugs = dict(Team.objects.values_list("pk", "slug"))
        others = [team for team, policy in policies.items() if policy.role_session_name != HANDLE]
        overruled = [
            team for team in others if policies[team].names_locked or policies[team].username_demanded
        ]
        links = AssumerLink.objects.filter(
            ~Q(role_session_name__in=[HANDLE, ""])
            | Q(role_session_name="", session__team__in=others)
            | Q(session__team__in=overruled)
        ).values_list("session__team_id", "role_session_name", "session__alias")
        found = set()
        for team, own, alias in links.iterator(chunk_size=2000):
            template = effective_template(own, policies.get(team) or TeamPolicy(team_id=team))
            if template != HANDLE:
                found.add((team, template, alias if "{alias}" in template else ""))
        for team, template, alias in found:
            try:
                yield team, Shape.of(template, alias, slugs[team])
            except InvalidName:
                continue  # of before the rules, and never sent
