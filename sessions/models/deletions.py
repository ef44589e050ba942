"""Store deletions that are decided and cleared away in parts."""

import uuid

from django.db import models

from sessions.models.people import Team


class Deletion(models.Model):
    """Store a large deletion that is decided, in the ledger, and cleared away in parts.

    Its sessions have no team any more, so that nobody finds them and their aliases are free.
    `session_id` and `alias` are of the one that was deleted, `actor` is by whom.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    session_id = models.UUIDField()
    alias = models.CharField(max_length=64)
    actor = models.CharField(max_length=150)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.alias} and what was assumed from it"
