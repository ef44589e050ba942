"""Store failed logins until the ledger has been told of them."""

from django.db import models

from sessions.models.people import User


class FailedLogIns(models.Model):
    """Count the failures of one kind under one person's name, or under many unknown names.

    `addresses`: some of those they came from. `told_at`: when the ledger, or for unknown names the
    log, was last told.
    """

    key = models.CharField(primary_key=True, max_length=60)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    what = models.CharField(max_length=20)
    times = models.PositiveIntegerField(default=0)
    addresses = models.JSONField(default=list)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "chains_failed_log_ins"

    def __str__(self) -> str:
        return f"{self.key}: {self.times}"
