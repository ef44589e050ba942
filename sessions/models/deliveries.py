"""Store what is issued for one delivery to one person's page or device."""

import uuid

from django.db import models

from sessions.models.credentials import Activation, Credential
from sessions.models.people import Team
from sessions.models.tokens import Token


class Channel(models.TextChoices):
    """Name the way by which credentials leave.

    `SNIPPET` is shown once; `ENDPOINT` is fetched again and again by one token; `CONSOLE` opens
    AWS's console; `TRIAL` leaves nowhere: it finds out whether AWS allows scoping by now.
    """

    SNIPPET = "snippet", "snippet"
    ENDPOINT = "endpoint", "endpoint"
    CONSOLE = "console", "console"
    TRIAL = "trial", "trial"


class Delivery(models.Model):
    """Need a child of an activation's leaf, issued by GetScopedCredentials for one delivery alone.

    Its id is known before the call and stands in the child's description in CloudTrail. It ends
    with its activation, its token, or at `ends_at`; then the child is erased. `fetched_at` is kept
    roughly, to tell an endpoint that is in use from one that is not.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    activation = models.ForeignKey(Activation, on_delete=models.CASCADE, related_name="deliveries")
    token = models.ForeignKey(Token, on_delete=models.CASCADE, null=True, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    credential = models.ForeignKey(Credential, on_delete=models.RESTRICT, related_name="deliveries")
    made_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    fetched_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["activation", "token"],
                name="one_endpoint_per_token",
                condition=models.Q(channel="endpoint"),
            )
        ]
        indexes = [models.Index(fields=["ends_at"], name="delivery_end")]

    def __str__(self) -> str:
        return f"{self.channel} of {self.activation_id}"
