"""Store the searches of the ledger that a person has given a name."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from sessions.models.people import Team


class SearchedPage(models.TextChoices):
    """Name the pages that a search is made on."""

    EVENTS = "events", "Events"
    DRIFT = "drift", "Name drift"


class SavedSearch(models.Model):
    """Store one person's named link to a search: what stands behind `?` in that page's address."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    page = models.CharField(max_length=10, choices=SearchedPage.choices)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "team", "user", "page", Lower("name"), name="search_has_a_name_of_its_own"
            )
        ]
        ordering = [Lower("name")]

    def __str__(self) -> str:
        return self.name
