"""Store credentials, keyed by the request they answer.

And the needs (activations, probes) that keep them.
"""

import uuid
from dataclasses import replace
from datetime import datetime

from django.db import models

from sessions.models.leased import Retried
from sessions.models.people import Team, User
from sessions.models.problems import Problem, ProblemField
from sessions.models.sessions import AwsSession
from sessions.sealing import SealContext


class Credential(Retried):
    """Store the sealed answer to one resolved AssumeRole request, under its fingerprint.

    Level 0 is a root's base identity; level N answers the chain's N-th call. Most roots are asked
    for their credentials each time and have nothing sealed here. Where they come of a person's
    answer or of a call, they are kept: `request` is then {"keeps": true, "person": the id of the
    person whose they are, or ""}, and they are sealed to the workers. `asked_at`: a person waits
    for it since then, and it goes ahead of the bulk. `attempts` are since the last success, by the
    cause that stands now. `is_scoped`: it is a child of the credential above it, narrowed for one
    delivery; see `models.deliveries`.
    """

    fingerprint = models.CharField(primary_key=True, max_length=64, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    root = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="+")
    parent = models.ForeignKey(
        "self", on_delete=models.RESTRICT, null=True, related_name="children"
    )
    level = models.PositiveSmallIntegerField()
    is_scoped = models.BooleanField(default=False, db_default=False)
    request = models.JSONField(default=dict)

    sealed = models.BinaryField(null=True)
    generation = models.PositiveIntegerField(default=0)
    access_key_id = models.CharField(max_length=128, blank=True, db_index=True)
    # Percent of what AWS lets policies and tags take once packed; null where there are none.
    packed_policy_size = models.PositiveSmallIntegerField(null=True)
    minted_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    due_at = models.DateTimeField(null=True)  # its index, below, leaves out what is never due
    asked_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], name="credential_due", condition=models.Q(due_at__isnull=False)
            ),
            models.Index(
                fields=["asked_at"],
                name="credential_asked",
                condition=models.Q(asked_at__isnull=False),
            ),
            models.Index(
                fields=["parent"], name="credential_scoped", condition=models.Q(is_scoped=True)
            ),
            # The roots' own rows, among all that was minted below them.
            models.Index(fields=["root"], name="credential_of_root", condition=models.Q(level=0)),
            models.Index(
                fields=["team"],
                name="credential_root_problem",
                condition=models.Q(level=0, problem__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fingerprint[:12]} (hop {self.level})"

    def seal_context(self, generation: int) -> SealContext:
        """Return where the secret of that generation is sealed for."""
        return SealContext(
            "chains_credential", "sealed", self.fingerprint, str(self.team_id), generation
        )

    @property
    def is_cached_root(self) -> bool:
        """Tell if the row is a root's that holds, or is to hold, its credentials."""
        return self.level == 0 and bool(self.request.get("keeps"))

    def is_live(self, at: datetime) -> bool:
        """Tell if the row holds a secret that AWS accepts at that moment."""
        return self.sealed is not None and self.expires_at is not None and self.expires_at > at

    def problem_at(self, at: datetime) -> Problem | None:
        """Return the problem with until when something is served meanwhile."""
        if self.problem is None:
            return None
        return replace(self.problem, served_until=self.expires_at if self.is_live(at) else None)


class Activation(models.Model):
    """Store that a member has started a session, to be renewed until stopped or `ends_at`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="activations")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="activations")
    credential = models.ForeignKey(
        Credential, on_delete=models.RESTRICT, related_name="activations"
    )
    started_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # What the person has started, hop by hop; see `chains.identity`. Null: started before this was
    # kept.
    identity = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "user"], name="one_activation_per_person")
        ]
        indexes = [models.Index(fields=["ends_at"], name="activation_end")]

    def __str__(self) -> str:
        return f"{self.session_id} for {self.user_id}"


class Ended(models.Model):
    """Tell a person that an edit has ended a session of theirs.

    The notice stays until they start it again or dismiss it.
    """

    session = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    problem = ProblemField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "user"], name="one_notice_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.session_id} ended for {self.user_id}"


class ProbeState(models.TextChoices):
    PENDING = "pending"
    OK = "ok"
    FAILED = "failed"


class Probe(models.Model):
    """Hold a test before saving.

    A chained session's probe needs a credential for a short while, like an activation; a root's
    probe carries its typed secrets, sealed to the workers, until a worker has asked AWS who they
    are.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    session = models.ForeignKey(AwsSession, on_delete=models.CASCADE, null=True, related_name="+")
    credential = models.ForeignKey(
        Credential, on_delete=models.RESTRICT, null=True, related_name="probes"
    )
    # What a chained draft would be assumed from: the right to it is looked at again when a worker
    # mints.
    assumer = models.ForeignKey(AwsSession, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=40)
    alias = models.CharField(max_length=64, blank=True)
    region = models.CharField(max_length=32)
    settings = models.JSONField(default=dict)
    sealed_secrets = models.BinaryField(null=True)
    # What a root's probe is about, see `catalog.tested`.
    tested = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=ProbeState.choices, default=ProbeState.PENDING)
    result = models.JSONField(default=dict)
    ends_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"probe {self.id}"

    @property
    def seal_context(self) -> SealContext:
        return SealContext("chains_probe", "sealed_secrets", str(self.pk), str(self.team_id), 0)
