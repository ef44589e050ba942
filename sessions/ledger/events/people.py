"""Declare the events about a team, its members, invitations and groups."""

from datetime import datetime

from sessions.ledger.events import Changing, EventData, event, moment, shared


@event
class TeamCreated(EventData):
    tag = "team.created"
    label = "team created"

    slug: str
    name: str
    ambient_enabled: bool = False

    def summary(self) -> str:
        return f"created the team {self.name} ({self.slug})"


@event
class TeamChanged(Changing):
    """Record what the operator allows a team: whether it may use the workers' own identity."""

    tag = "team.changed"
    label = "team changed"

    ambient_enabled: bool

    def summary(self) -> str:
        may = "may now" if self.ambient_enabled else "may no longer"
        return f"changed the team: it {may} use the workers' own AWS identity"


@event
class SecretsResealed(EventData):
    """Record that the operator moved sealed values, of all teams, to the newest keys."""

    tag = "secrets.resealed"
    label = "secrets resealed"

    moved: int
    unopened: int = 0

    def summary(self) -> str:
        failed = f"; {self.unopened} could not be opened" if self.unopened else ""
        return f"moved {self.moved} sealed values of all teams to the newest keys{failed}"


@event
class MemberAdded(Changing):
    """Record a new member, or one who was added again in another role."""

    tag = "member.added"
    label = "member added"

    member: str
    role: str
    aws_name: str

    def summary(self) -> str:
        return f"added {self.member} as {self.role}, in CloudTrail {self.aws_name}"


@event
class MemberRenamed(EventData):
    tag = "member.renamed"
    label = "CloudTrail name changed"

    member: str
    aws_name: str
    aws_name_before: str

    def summary(self) -> str:
        return f"changed {self.member}'s CloudTrail name: {self.aws_name_before} → {self.aws_name}"


@shared
class MemberLost(EventData):
    """Hold who lost a right, and to whom the assumers of their sessions went.

    `person_id` is None in lines of before it was kept; `aws_name` where the operator acted in all
    teams.
    """

    member: str
    person_id: int | None = None
    aws_name: str | None = None
    sessions_handed_over: tuple[str, ...] | None = None
    to: str | None = None

    def handed_over(self) -> str:
        """Say who owns which sessions now; empty if nothing was handed over."""
        if not self.sessions_handed_over:
            return ""
        return f"; {self.to} now owns {', '.join(self.sessions_handed_over)}"


@event
class MemberRoleChanged(MemberLost):
    tag = "member.role"
    label = "role changed"

    role: str
    before: str

    def summary(self) -> str:
        return f"changed {self.member}'s role: {self.before} → {self.role}{self.handed_over()}"


@event
class MemberSuspended(MemberLost):
    tag = "member.disabled"
    label = "member suspended"

    def summary(self) -> str:
        return f"suspended {self.member}{self.handed_over()}"


@event
class MemberReinstated(EventData):
    tag = "member.enabled"
    label = "member reinstated"

    member: str
    person_id: int | None = None

    def summary(self) -> str:
        return f"reinstated {self.member}"


@event
class MemberRemoved(MemberLost, Changing):
    tag = "member.removed"
    label = "member removed"

    def summary(self) -> str:
        return f"removed {self.member} from the team{self.handed_over()}"


@event
class MemberReadmitted(EventData):
    """Record that an admin let groups bring a removed person back."""

    tag = "member.readmitted"
    label = "removal lifted"

    member: str
    person_id: int

    def summary(self) -> str:
        return f"lifted the removal of {self.member}"


@event
class MemberFactorsRemoved(EventData):
    tag = "member.factors"
    label = "second factors removed"

    member: str
    removed: tuple[str, ...]

    def summary(self) -> str:
        return f"removed {self.member}'s second factors: {', '.join(self.removed) or 'none'}"


@event
class InvitationCreated(EventData):
    tag = "invitation.created"
    label = "invitation created"

    invitation_id: str
    role: str
    note: str
    expires_at: datetime | None

    def summary(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"created an invitation as {self.role}{note}, good until {moment(self.expires_at)}"


@event
class InvitationRevoked(EventData):
    tag = "invitation.revoked"
    label = "invitation revoked"

    invitation_id: str
    role: str

    def summary(self) -> str:
        return f"revoked an invitation as {self.role}"


@event
class InvitationAccepted(EventData):
    tag = "invitation.accepted"
    label = "invitation accepted"

    invitation_id: str
    invited_by: str
    role: str

    def summary(self) -> str:
        return f"accepted {self.invited_by}'s invitation as {self.role}"


@shared
class _GroupSaved(EventData):
    group_id: str
    name: str
    people: tuple[str, ...]

    def members(self) -> str:
        return f"{self.name}: {', '.join(self.people) or 'nobody'}"


@event
class GroupCreated(_GroupSaved):
    tag = "group.created"
    label = "group created"

    def summary(self) -> str:
        return f"created the group {self.members()}"


@event
class GroupChanged(_GroupSaved, Changing):
    tag = "group.changed"
    label = "group changed"

    def summary(self) -> str:
        return f"changed the group {self.members()}"


@event
class GroupDeleted(Changing):
    tag = "group.deleted"
    label = "group deleted"

    group_id: str
    name: str

    def summary(self) -> str:
        return f"deleted the group {self.name}"
