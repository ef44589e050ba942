"""Record what is wrong with a root once, in its own row, however many sessions rest on it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from sessions.actors import WORKER
from sessions.aws import proof
from sessions.aws.errors import WaitingForPerson
from sessions.aws.proof import About
from sessions.aws.roots import ROOT_KINDS
from sessions.credentials import bulk_write
from sessions.credentials.needs import Need
from sessions.credentials.outcomes import Blocked, Minted, Outcome, Rejection, problem_of
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.roots import RootOpened, RootRejected, RootWaits
from sessions.locks.team_lock import lock_team
from sessions.models import AwsSession, Credential, Membership, Problem
from sessions.roots.problems import root_problems


def record_root_problems(results: Sequence[tuple[Credential, Outcome]], now: datetime) -> None:
    """Record a root's problem when its first hops meet it; clear it when AWS takes its key again.

    What happened last counts. No row stops at a root that has no problem noted, and clearing one
    makes all of them due: both in the transaction that holds the team.
    """
    last, stopped = _last_heard(results, now)
    if not last:
        return
    noted = Credential.objects.filter(pk__in=last, level=0)
    # A root that caches its credentials is recorded by their own minting.
    rows = [root for root in noted.select_for_update().order_by("pk") if not root.is_cached_root]
    works = [root for root in rows if _has_worked_since(last[root.pk], root)]
    _record_working_keys([root for root in works if last[root.pk] is None], now)
    _clear_and_retry(
        [root for root in works if root.problem is not None or root.pk in stopped], now
    )
    for root in rows:
        problem = last[root.pk]
        if problem is not None and root not in works:
            noted.filter(pk=root.pk).update(problem=_merged(problem, root.problem, now))


def _last_heard(
    results: Sequence[tuple[Credential, Outcome]], now: datetime
) -> tuple[dict[str, Problem | None], set[str]]:
    """Return {root: the problem that a first hop met last, None: its key worked}, and where any
    stopped.
    """
    last: dict[str, Problem | None] = {}
    stopped: set[str] = set()
    for row, outcome in results:
        if row.level != 1:
            continue
        root_id = str(row.parent_id)
        match outcome:
            case Minted():
                last[root_id] = None
            case Rejection(error, tried, home) if error.hop == 0:
                last[root_id] = replace(problem_of(error, since=now), tried=tried or now, home=home)
                stopped.add(root_id)
            case Rejection(error) if error.code in proof.DENIED:
                last[root_id] = None  # AWS knew the key: it is the role that said no
            case Blocked(problem) if problem.hop == 0:
                last.setdefault(root_id, problem)
                stopped.add(root_id)
    return last, stopped


def _has_worked_since(problem: Problem | None, root: Credential) -> bool:
    """Tell whether AWS took the root's key after it had met that problem, if any."""
    if problem is None:
        return True
    return bool(problem.tried and root.minted_at and problem.tried < root.minted_at)


def _merged(problem: Problem, known: Problem | None, now: datetime) -> Problem:
    """Keep of the problem noted before since when it is, and when the key was tried last."""
    known = known or problem
    since = (known if known.code == problem.code else problem).since or now
    tried = problem if problem.tried else known
    return replace(problem, since=since, tried=tried.tried, home=tried.home)


def retry_below(parents: Collection[str], now: datetime) -> None:
    """Retry what stopped at these hops, just issued.

    Inside the transaction that stores them.
    """
    bulk_write.make_due_below(parents, now)


def retry_siblings(minted: Sequence[Credential], now: datetime) -> None:
    """Retry the rows below the same hops that the region had rejected.

    The region has just taken a call.
    """
    # What has been issued before, and without that trouble, says nothing new: most commits look for
    # nothing.
    news = [
        row
        for row in minted
        if row.generation == 0 or (row.problem and row.problem.cause == About.REGION)
    ]
    parents = {row.parent_id for row in news if row.parent_id}
    if parents:
        rejected = Credential.objects.filter(parent_id__any_of=parents, problem__cause=About.REGION)
        rejected.filter(Q(due_at=None) | Q(due_at__gt=now)).update(due_at=now)


def record_working_key(root: AwsSession) -> None:
    """Retry what stopped at a root whose key AWS has just taken in any call.

    With no transaction open.
    """
    noted = Credential.objects.filter(root=root, level=0, problem__isnull=False)
    if not noted.exists():
        return
    with transaction.atomic():
        lock_team(root.team_id)
        now, roots = database_now(), list(noted)
        _record_working_keys(roots, now)
        _clear_and_retry(roots, now)


def _record_working_keys(roots: Sequence[Credential], now: datetime) -> None:
    # A root that keeps nothing has nothing minted: the column is free to say when its key has
    # worked last.
    if works := [root.pk for root in roots if not root.is_cached_root]:
        Credential.objects.filter(pk__in=works).update(minted_at=now)


def _clear_and_retry(roots: Sequence[Credential], now: datetime) -> None:
    """Clear these roots' problems and make all due that stopped at them, however deep."""
    if not roots:
        return
    rows = Credential.objects.filter(pk__in=[root.pk for root in roots])
    works = [root.pk for root in roots if not root.is_cached_root]
    rows.filter(pk__in=works).update(problem=None)
    rows.filter(pk__in=[root.pk for root in roots if root.is_cached_root]).update(due_at=now)
    below = Credential.objects.filter(root__in={root.root_id for root in roots}, level__gt=0)
    below.filter(problem__hop=0).update(due_at=now)


def broken_roots(member: Membership) -> list[tuple[AwsSession, Problem]]:
    """List the rejected roots of a member's team, each once with its problem."""
    noted = Credential.objects.filter(team=member.team, level=0, problem__isnull=False).values(
        "root"
    )
    roots = list(
        AwsSession.objects.filter(pk__in=noted, deletion=None)
        .defer("sealed_secrets")
        .order_by("alias")
    )
    problems = root_problems([root.pk for root in roots], member, database_now()) if roots else {}
    return [
        (root, problems[root.pk])
        for root in roots
        if root.pk in problems and problems[root.pk].is_final
    ]


def root_entry(row: Credential, outcome: Outcome, needs: Sequence[Need]) -> Entry | None:
    """Return the event about a root's cached credentials, once for each reason."""
    people = tuple(sorted({need.person for need in needs}))
    match outcome:
        case Minted(given):
            asked_sts = ROOT_KINDS[row.root.kind].asks_sts(row.root.settings)
            opened = RootOpened(
                people=people,
                credential=row.pk,
                access_key_id=given.access_key_id,
                expires_at=given.expires_at,
                sts_region=outcome.region if asked_sts else None,
            )
            return Entry(opened, WORKER, row.root)
        case Rejection(error) if row.problem is None or row.problem.code != error.code:
            waits = isinstance(error, WaitingForPerson)
            kind = RootWaits if waits else RootRejected
            stopped = kind(people=people, credential=row.pk, code=error.code, message=error.message)
            return Entry(stopped, WORKER, row.root)
        case _:
            return None
