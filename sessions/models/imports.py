"""Store what was uploaded for an import until it is confirmed, and what an export gives back."""

import uuid
from datetime import timedelta

from django.db import models

from sessions.models.people import Team, User
from sessions.sealing import SealContext

# Long enough to look at a preview and to log in once more in between.
PREVIEW_LIVES = timedelta(minutes=15)


class PendingImport(models.Model):
    """Store uploaded files between preview and import, sealed, for their uploader alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    sealed = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def seal_context(self) -> SealContext:
        """Return where its files are sealed for."""
        return SealContext("chains_pendingimport", "sealed", str(self.pk), str(self.team_id), 1)


class KeptConfig(models.Model):
    """Store what of a person's AWS config files is no session, sealed, for that person alone.

    A section may hold a command (`credential_process`), which whoever exports would run: so nobody
    is given another person's. Secrets are never in it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    sealed = models.BinaryField()
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="one_kept_config_each")
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def seal_context(self) -> SealContext:
        """Return where its sections are sealed for."""
        return SealContext(
            "chains_keptconfig", "sealed", str(self.pk), str(self.team_id), self.version
        )
