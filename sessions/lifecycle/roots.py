"""What is wrong with a root: one notice for it, in its own row, however many sessions rest on it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sessions.aws.errors import WaitingForPerson
from sessions.clock import database_now
from sessions.ledger import Entry
from sessions.lifecycle.needs import Need
from sessions.lifecycle.outcomes import Blocked, Minted, Outcome, Refusal, problem_of
from sessions.lifecycle.state import Problem, root_problems
from sessions.models import AwsSession, Credential, EventKind, Membership


def tell(results: Sequence[tuple[Credential, Outcome]], now: datetime) -> None:
    """Writes a root's problem down when its first hops meet it, and takes it away when one of them is minted.

    Then the others that stopped at the root are due again: nobody has to do anything by hand. Inside a transaction.
    """
    broken: dict[str, dict[str, Any]] = {}
    works: set[str] = set()
    for row, outcome in results:
        if row.level != 1:
            continue
        match outcome:
            case Minted():
                works.add(str(row.parent_id))
            case Refusal(error) if error.hop == 0:
                broken[str(row.parent_id)] = problem_of(error, since=now)
            case Blocked(problem) if problem["hop"] == 0:
                broken.setdefault(str(row.parent_id), problem)
            case _:
                pass
    noted = Credential.objects.filter(pk__in=[*broken, *works], level=0)
    for root in noted.select_for_update().order_by("pk"):
        if root.is_kept_base:
            continue  # that row's own minting has written what is to be said of it
        if root.pk in works:
            if root.problem is not None:
                noted.filter(pk=root.pk).update(problem=None)
                below = Credential.objects.filter(parent=root, problem__isnull=False, due_at=None)
                below.filter(problem__hop=0).update(due_at=now)
        elif (root.problem or {}).get("code") != broken[root.pk]["code"]:
            since = broken[root.pk].get("since") or now.isoformat(timespec="seconds")
            noted.filter(pk=root.pk).update(problem={**broken[root.pk], "since": since})


def broken_roots(member: Membership) -> list[tuple[AwsSession, Problem]]:
    """The roots of a member's team that are refused now, each once with its problem: what waits or is tried again is no news."""
    noted = Credential.objects.filter(team=member.team, level=0, problem__isnull=False).values("root")
    roots = list(AwsSession.objects.filter(pk__in=noted).defer("sealed_secrets").order_by("alias"))
    problems = root_problems([root.pk for root in roots], member, database_now()) if roots else {}
    return [
        (root, problems[root.pk]) for root in roots if root.pk in problems and problems[root.pk].is_refused
    ]


def entry(row: Credential, outcome: Outcome, needs: Sequence[Need]) -> Entry | None:
    """The ledger's line about a root's kept base credentials: made, refused, or waiting for a person; once for each reason."""
    data: dict[str, Any] = {"credential": row.pk, "for": sorted({need.person for need in needs})}
    match outcome:
        case Minted(given):
            ends = given.expires_at.isoformat(timespec="seconds") if given.expires_at else None
            data |= {"access_key_id": given.access_key_id, "expires_at": ends}
            return Entry(EventKind.ROOT_OPENED, "worker", row.root, data)
        case Refusal(error) if (row.problem or {}).get("code") != error.code:
            waits = isinstance(error, WaitingForPerson)
            kind = EventKind.ROOT_WAITS if waits else EventKind.ROOT_REFUSED
            return Entry(kind, "worker", row.root, data | {"code": error.code, "message": error.message})
        case _:
            return None
