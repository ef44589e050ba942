"""Store the ledger's events.

Ids and names are text, without foreign keys, so that they outlive their subjects.
"""

from datetime import datetime

from django.db import models


class EventKind(models.TextChoices):
    TEAM_CREATED = "team.created", "team created"
    MEMBER_ADDED = "member.added", "member added"
    POLICY_CHANGED = "policy.changed", "policy changed"
    SOURCE_IDENTITY_DROPPED = "source_identity.dropped", "goes on without a source identity"
    MEMBER_ROLE_CHANGED = "member.role", "role changed"
    MEMBER_RENAMED = "member.renamed", "name in CloudTrail changed"
    MEMBER_DISABLED = "member.disabled", "member shut out"
    MEMBER_ENABLED = "member.enabled", "member let in again"
    MEMBER_FACTORS_REMOVED = "member.factors", "second factors taken away"
    MEMBER_REMOVED = "member.removed", "member removed"
    MEMBER_READMITTED = "member.readmitted", "removal lifted"
    INVITATION_CREATED = "invitation.created", "invitation made"
    INVITATION_REVOKED = "invitation.revoked", "invitation withdrawn"
    INVITATION_ACCEPTED = "invitation.accepted", "invitation accepted"
    GROUP_CREATED = "group.created", "group made"
    GROUP_CHANGED = "group.changed", "group changed"
    GROUP_DELETED = "group.deleted", "group deleted"
    ACCESS_CHANGED = "session.access", "access changed"
    SESSION_CREATED = "session.created", "session created"
    SESSION_EDITED = "session.edited", "session edited"
    SESSION_DELETED = "session.deleted", "session deleted"
    SESSION_STARTED = "session.started", "started"
    SESSION_STOPPED = "session.stopped", "stopped"
    SESSION_ENDED = "session.ended", "ended by its time"
    SESSION_ENDED_BY_EDIT = "session.ended_by_edit", "ended by an edit"
    ROTATION_ASKED = "rotation.asked", "rotation asked for"
    PROBE_ASKED = "probe.asked", "test before saving"
    ROOT_VERIFIED = "root.verified", "root asked who it is"
    ROOT_WAITS = "root.waits", "root waits for a person"
    ROOT_ANSWERED = "root.answered", "code given for a root"
    ROOT_OPENED = "root.opened", "root credentials made"
    ROOT_REFUSED = "root.refused", "root credentials refused"
    APPROVAL_ASKED = "approval.asked", "approval asked for"
    APPROVAL_GIVEN = "approval.given", "approved"
    APPROVAL_ENDED = "approval.ended", "approval ended"
    KEY_ROTATION_ASKED = "key.asked", "key rotation asked for"
    KEY_ROTATION_STEP = "key.step", "key rotation"
    KEY_ROTATION_REFUSED = "key.refused", "key rotation refused"
    KEY_ROTATION_ENDED = "key.ended", "key rotation ended"
    CREDENTIAL_MINTED = "credential.minted", "credential minted"
    CREDENTIAL_REFUSED = "credential.refused", "credential refused"
    CREDENTIAL_REVEALED = "credential.revealed", "credential handed out"
    TOKEN_CREATED = "token.created", "token created"
    TOKEN_REVOKED = "token.revoked", "token revoked"


def event_kinds() -> list[tuple[str, str]]:
    """Callable, so that a new kind makes no migration."""
    return EventKind.choices


class Event(models.Model):
    """One line: append-only, chained per team by `prev` → `hash`. See `sessions.ledger`."""

    team_id = models.CharField(max_length=36)
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40, choices=event_kinds)
    actor = models.CharField(max_length=150)
    session_id = models.CharField(max_length=36, blank=True)
    session_alias = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)
    prev = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team_id", "seq"], name="one_line_per_number")
        ]
        indexes = [
            models.Index(fields=["session_id", "-seq"], name="event_of_session"),
            # What somebody has taken, and who has left: few lines among very many.
            models.Index(
                fields=["team_id", "actor", "-seq"],
                name="event_revealed",
                condition=models.Q(kind="credential.revealed"),
            ),
            models.Index(
                fields=["team_id", "-seq"],
                name="event_removed",
                condition=models.Q(kind="member.removed"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team_id} #{self.seq} {self.kind}"


class LedgerHead(models.Model):
    """The end of one team's ledger; locked while lines are appended."""

    team_id = models.CharField(primary_key=True, max_length=36)
    seq = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)

    # The time, where whoever holds the lock has asked for it since. Never stored.
    read_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.team_id} ends at {self.seq}"
