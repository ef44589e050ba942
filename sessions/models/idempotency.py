"""Store what a request with an `Idempotency-Key` was answered, to say so again."""

from django.db import models

from sessions.models.tokens import Token


class KeyedRequest(models.Model):
    """Store one request that named itself, and its answer once there is one.

    `digest` is a keyed hash of the method, the address and the body, which may hold a secret.
    `status` is null while the request is being answered. `body` is null where the answer was shown
    once and is not kept.
    """

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    begun_at = models.DateTimeField(db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(null=True)  # noqa: DJ001  (null has a meaning)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="one_request_per_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.token_id}"
