"""Check that no role session name would come out as somebody else's CloudTrail handle."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sessions.aws.names import filled_in
from sessions.models import Membership

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
    """A name by which one of these people would go though it is another's handle; empty if there is
    none.
    """
    if shape.is_fixed:
        name = shape.name("")
        return name if name.lower() in handles and len(handles) > 1 else ""
    # Whatever stands beside the handle has to be in the other handle as well: mostly an alias is in
    # none.
    every_handle = "\n".join(handles)
    if any(piece and piece.lower() not in every_handle for piece in shape.pieces):
        return ""
    for handle, person in handles.items():
        name = shape.name(handle)
        if handles.get(name.lower(), person) != person:
            return name
    return ""
