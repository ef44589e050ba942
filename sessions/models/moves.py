"""Store what has yet to follow a change, so that a worker that dies leaves nothing behind."""

import uuid

from django.db import models

from sessions.models.leased import Leased
from sessions.models.people import Team, User
from sessions.models.sessions import AwsSession


class Move(Leased):
    """Hold how far the activations of a team have followed a change, worked off in parts.

    `session`: only those of that session and of what is assumed from it; `user`: only that
    person's; neither: all. `after` is the last activation that was looked at, in the order of their
    ids. A newer change of the same scope begins it again under another fence.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="moves")
    session = models.ForeignKey(
        AwsSession, on_delete=models.CASCADE, null=True, related_name="moves"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    asked = models.BooleanField("people wait for it", default=False)
    # Whose edit it is, where that edit has changed an identity: see `chains.identity.IdentityEdit`.
    why = models.JSONField(null=True)
    after = models.UUIDField(null=True)
    done = models.PositiveIntegerField(default=0)
    of = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.done} of {self.of} in {self.team_id}"
