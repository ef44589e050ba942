"""Store what people give for a root (codes, approvals) and the replacing of a root's key."""

import uuid

from django.db import models

from sessions.models.credentials import Credential
from sessions.models.leased import Retried
from sessions.models.people import Team, User
from sessions.models.sessions import AwsSession
from sessions.sealing import SealContext


class RootAnswer(models.Model):
    """Store a typed code, sealed to the workers, until one of them has taken it once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="answers")
    name = models.CharField(max_length=40)
    sealed = models.BinaryField()
    given_by = models.CharField(max_length=150)
    given_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["credential", "name"], name="one_answer_of_a_name")
        ]

    def __str__(self) -> str:
        return f"{self.name} for {self.credential_id[:12]}"

    @property
    def seal_context(self) -> SealContext:
        return SealContext(
            "chains_rootanswer", "sealed", str(self.pk), str(self.credential.team_id), 0
        )


class ApprovalStage(models.TextChoices):
    """Name an approval's stages.

    `ASKED`: a worker is to get the page. `OPEN`: the person is to approve on it. `GIVEN`, or `OVER`
    without having been.
    """

    ASKED = "asked"
    OPEN = "open"
    GIVEN = "given"
    OVER = "over"


class Approval(Retried):
    """Store a person's approval for the roots of one kind and scope, and the kind's state of it.

    Its key is a hash of team, kind, scope and person. `settings` are those of the root it was asked
    at. `sealed_state` is sealed to the workers, bound to `version`; it works without another look
    until `good_until`. `wanted` and `listed` are the lists that somebody picks from: {name of the
    field: …}; see `roots.choices`.
    """

    key = models.CharField(primary_key=True, max_length=64, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=40)
    scope = models.CharField(max_length=2200)
    settings = models.JSONField(default=dict)
    region = models.CharField(max_length=32)
    stage = models.CharField(
        max_length=10, choices=ApprovalStage.choices, default=ApprovalStage.ASKED
    )
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    url = models.CharField(max_length=4096, blank=True)
    user_code = models.CharField(max_length=64, blank=True)
    page_ends_at = models.DateTimeField(null=True)
    sealed_state = models.BinaryField(null=True)
    version = models.PositiveIntegerField(default=0)
    good_until = models.DateTimeField(null=True)
    wanted = models.JSONField(default=dict)
    listed = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.stage} ({self.key[:12]})"

    def seal_context(self, version: int) -> SealContext:
        return SealContext("chains_approval", "sealed_state", self.key, str(self.team_id), version)


class KeyRotation(Retried):
    """Store the replacing of a root's long-lived key.

    The columns are those of `aws.key_rotation`.

    `sealed_new` is the new key's secret, sealed to the workers, until the root uses it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    root = models.ForeignKey(AwsSession, on_delete=models.CASCADE, related_name="key_rotations")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    user_name = models.CharField(max_length=64, blank=True)
    user_arn = models.CharField(max_length=2048, blank=True)
    old_key_id = models.CharField(max_length=128)
    new_key_id = models.CharField(max_length=128, blank=True)
    new_key_at = models.DateTimeField(null=True)
    sealed_new = models.BinaryField(null=True)
    verified = models.BooleanField(default=False)
    withdrawn = models.BooleanField(default=False)
    # The last step that was taken.
    step = models.CharField(max_length=20, blank=True)

    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["root"],
                condition=models.Q(ended_at=None),
                name="one_key_rotation_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.old_key_id} of {self.root_id}, {self.step or 'asked'}"

    @property
    def seal_context(self) -> SealContext:
        return SealContext("chains_keyrotation", "sealed_new", str(self.pk), str(self.team_id), 0)
