"""Check that no role session name would come out as somebody else's CloudTrail handle."""

from collections.abc import Mapping
from typing import Any

from sessions.aws.name_template import NameTemplate
from sessions.models import Membership

HANDLE = NameTemplate("{username}")


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
