"""Keep the searches of the ledger that people have given names: each their own, in each team."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from sessions.actors import Actor
from sessions.exceptions import Refused
from sessions.models import SavedSearch

MOST = 50


def searches_of(actor: Actor, page: str = "") -> QuerySet[SavedSearch]:
    """Select the actor's own searches in their team; of one page, if it is named."""
    own = SavedSearch.objects.filter(team=actor.team_id, user=actor.user)
    return own.filter(page=page) if page else own


def save_search(actor: Actor, page: str, name: str, query: str) -> SavedSearch:
    """Save a search under a name. Raises `Refused`."""
    if searches_of(actor).count() >= MOST:
        raise Refused("", f"You have saved {MOST} searches: delete one first.")
    search = SavedSearch(team_id=actor.team_id, user=actor.user, page=page, name=name, query=query)
    _store(search)
    return search


def rename_search(actor: Actor, search_id: UUID, name: str) -> SavedSearch | None:
    """Give one's own search another name; None if there is none. Raises `Refused`."""
    search = searches_of(actor).filter(pk=search_id).first()
    if search is not None:
        search.name = name
        _store(search)
    return search


def delete_search(actor: Actor, search_id: UUID) -> bool:
    """Delete one's own search; False if there is none."""
    deleted, _ = searches_of(actor).filter(pk=search_id).delete()
    return bool(deleted)


def _store(search: SavedSearch) -> None:
    try:
        with transaction.atomic():
            search.save()
    except IntegrityError:
        raise Refused("name", f"You have a search named “{search.name}” already.") from None
