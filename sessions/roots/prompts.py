"""List what a team's roots wait for a person to do, for that person's pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sessions.aws.roots import Challenge
from sessions.credentials.timing import PARENT_MARGIN
from sessions.models import (
    Approval,
    ApprovalStage,
    AwsSession,
    Credential,
    Membership,
    Problem,
)
from sessions.roots import approvals
from sessions.roots.choices import picked_fields
from sessions.roots.codes import code_challenges


@dataclass(frozen=True)
class Prompt:
    """Hold what one root asks a member for; `credential` is their row of it, if one is needed."""

    root: AwsSession
    codes: list[Challenge]
    asks_for_approval: bool
    approval: Approval | None
    credential: Credential | None
    problem: Problem | None
    is_live: bool

    @property
    def open_until(self) -> datetime | None:
        """Return when the person is asked again at the latest."""
        return self.credential.expires_at if self.credential is not None and self.is_live else None

    @property
    def needs_code(self) -> bool:
        """Tell whether something is started and the root has no session to assume it from."""
        return bool(self.codes) and self.credential is not None and not self.is_live

    @property
    def needs_approval(self) -> bool:
        if not self.asks_for_approval:
            return False
        if self.approval is None or self.approval.stage != ApprovalStage.GIVEN:
            return True
        # What was approved can be taken back at the portal, which AWS says when it is used next.
        return (
            not self.is_live and self.problem is not None and self.problem.code == "ApprovalNeeded"
        )

    @property
    def needs_choice(self) -> bool:
        """Tell whether it is approved and a setting from a list is still to be picked."""
        is_open = any(not self.root.settings.get(field.name) for field in picked_fields(self.root))
        return self.asks_for_approval and not self.needs_approval and is_open

    @property
    def page_is_open(self) -> bool:
        """Tell whether there is a page where the member can approve now."""
        return self.approval is not None and self.approval.stage == ApprovalStage.OPEN

    @property
    def page_is_asked_for(self) -> bool:
        return self.approval is not None and self.approval.stage == ApprovalStage.ASKED


def at_root(root: AwsSession, member: Membership, now: datetime) -> Prompt | None:
    """Return what that root asks this member for; None if nothing."""
    if root.is_chained:  # what it was assumed from is being deleted
        return None
    codes, approves = code_challenges(root), approvals.asks_for_approval(root)
    if not codes and not approves:
        return None
    person = approvals.person_for(root, member.user)
    rows = [
        row
        for row in Credential.objects.filter(root=root, level=0)
        if row.is_cached_root and row.request.get("person", "") == person
    ]
    # An edit leaves the row of the old settings behind until the last that rests on it has moved.
    row = max(rows, key=lambda each: each.is_live(now), default=None)
    return Prompt(
        root=root,
        codes=codes,
        asks_for_approval=approves,
        approval=approvals.approval_of(root, member) if approves else None,
        credential=row,
        problem=row.problem_at(now) if row else None,
        is_live=row is not None and row.is_live(now + PARENT_MARGIN),
    )


def in_team(member: Membership, sessions: Iterable[AwsSession], now: datetime) -> list[Prompt]:
    """Return the roots among these that wait for this member now, by alias."""
    roots = {session.pk: session for session in sessions if not session.is_chained}
    stopped: set[UUID] = set()
    for row in Credential.objects.filter(root__in=list(roots), level=0, problem__isnull=False):
        is_its_own = row.problem is not None and row.problem.hop == 0
        if row.is_cached_root and is_its_own and not row.is_live(now):
            stopped.add(row.root_id)
    found = [at_root(roots[pk], member, now) for pk in stopped]
    waiting = [
        each
        for each in found
        if each
        and each.credential
        and (each.needs_code or each.needs_approval or each.needs_choice)
    ]
    return sorted(waiting, key=lambda each: each.root.alias.casefold())
