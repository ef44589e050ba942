"""The team itself, as everybody in it may know it."""

from typing import Any

from django.http import HttpRequest
from pydantic import BaseModel

from sessions.api.base import ERRORS, api, caller
from sessions.lifecycle.tallies import saved_by_sharing


class TeamOut(BaseModel):
    """The token's team. `calls_saved`: how many calls to AWS its people were spared by sharing hops."""

    slug: str
    name: str
    calls_saved: int


@api.get("/team", response={200: TeamOut, **ERRORS}, summary="The token's team")
def get_team(request: HttpRequest) -> Any:
    team = caller(request).team
    return {"slug": team.slug, "name": team.name, "calls_saved": saved_by_sharing(team.pk)}
