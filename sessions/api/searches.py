"""Save one's own searches of the ledger."""

from typing import Annotated, Any
from uuid import UUID

from django.forms import Form
from django.http import Http404, HttpRequest
from ninja import Status
from pydantic import BaseModel

from sessions.api.base import ERRORS, ApiError, api, caller, caller_who_may
from sessions.api.forms import form_errors
from sessions.api.schemas import one_of
from sessions.exceptions import Refused
from sessions.forms.searches import SavedSearchForm, SearchNameForm
from sessions.models import SavedSearch
from sessions.models.searches import SearchedPage
from sessions.people.searches import delete_search, rename_search, save_search, searches_of
from sessions.permissions import Action


class SearchOut(BaseModel):
    """Show a saved search: the page, and what stands behind `?` in its address."""

    id: UUID
    page: Annotated[str, one_of(*SearchedPage.values)]
    name: str
    query: str

    @classmethod
    def of(cls, search: SavedSearch) -> dict[str, Any]:
        return {"id": search.pk, "page": search.page, "name": search.name, "query": search.query}


class SearchesOut(BaseModel):
    """Show all of one's saved searches: at most 50."""

    searches: list[SearchOut]


class SearchIn(BaseModel):
    """Save a search: `query` as in the address of the page, `person=ada&kind=credential`."""

    page: str
    name: str
    query: str


class SearchNameIn(BaseModel):
    """Give a saved search another name."""

    name: str = ""


@api.get("/searches", response={200: SearchesOut, **ERRORS}, summary="List your saved searches")
def list_searches(request: HttpRequest) -> Any:
    """List the searches that the token's owner has saved in this team."""
    return {"searches": [SearchOut.of(each) for each in searches_of(caller(request))]}


@api.post("/searches", response={201: SearchOut, **ERRORS}, summary="Save a search")
def add_search(request: HttpRequest, asked: SearchIn) -> Any:
    """Save a search of events or of CloudTrail's records under a name."""
    form = SavedSearchForm(asked.model_dump())
    typed = _valid(form)
    is_drift = typed["page"] == SearchedPage.DRIFT
    actor = caller_who_may(request, Action.READ_LEDGER) if is_drift else caller(request)
    try:
        search = save_search(actor, typed["page"], typed["name"], typed["query"])
    except Refused as refused:
        raise _refused(refused) from None
    return Status(201, SearchOut.of(search))


@api.patch(
    "/searches/{uuid:search_id}", response={200: SearchOut, **ERRORS}, summary="Rename a search"
)
def name_search(request: HttpRequest, search_id: UUID, asked: SearchNameIn) -> Any:
    """Give one's own search another name."""
    if not searches_of(caller(request)).filter(pk=search_id).exists():
        raise Http404
    typed = _valid(SearchNameForm(asked.model_dump()))
    try:
        search = rename_search(caller(request), search_id, typed["name"])
    except Refused as refused:
        raise _refused(refused) from None
    if search is None:
        raise Http404
    return SearchOut.of(search)


@api.delete("/searches/{uuid:search_id}", response={204: None, **ERRORS}, summary="Delete a search")
def remove_search(request: HttpRequest, search_id: UUID) -> Any:
    """Delete one's own search."""
    if not delete_search(caller(request), search_id):
        raise Http404
    return Status(204, None)


def _valid(form: Form) -> dict[str, Any]:
    if not form.is_valid():
        raise form_errors(form)
    return form.cleaned_data


def _refused(refused: Refused) -> ApiError:
    errors = {refused.field or "__all__": [refused.message]}
    return ApiError(422, "invalid", refused.message, errors)
