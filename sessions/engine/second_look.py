"""Retry rejected rows that may work by now, without a call that has shown it.

When a worker starts, all are retried once, spread out. A root that reads a file is retried when the
file is written again.
"""

import random
from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from sessions.aws.roots import ROOT_KINDS
from sessions.credentials.timing import compressed
from sessions.db.clock import database_now
from sessions.models import Credential, KeyRotation

log = structlog.get_logger(__name__)

# So many rows become due each second, within these bounds, in so many parts.
TRIES_PER_SECOND = 10
SHORTEST = compressed(seconds=5)
LONGEST = compressed(minutes=5)
PARTS = 20

_looked_at: dict[str, datetime] = {}


def retry_rejected() -> int:
    """Make rejected rows due soon that would be tried later or never; return how many."""
    now = database_now()
    # What AWS said of a root's key just before is not taken for granted any more.
    for root in Credential.objects.filter(level=0, problem__tried__isnull=False):
        if root.problem is not None and not root.is_cached_root:
            noted = Credential.objects.filter(pk=root.pk, problem=root.problem)
            noted.update(problem=root.problem.untried())
    rejected = Credential.objects.free(now).filter(
        Q(due_at=None) | Q(due_at__gt=now + LONGEST),
        Q(level__gt=0) | Q(request__keeps=True),
        problem__isnull=False,
    )
    found = list(rejected.values_list("pk", flat=True))
    random.shuffle(found)
    spread = min(max(timedelta(seconds=len(found) / TRIES_PER_SECOND), SHORTEST), LONGEST)
    for part in range(min(PARTS, len(found))):
        due_at = now + spread * (part + random.random()) / PARTS  # noqa: S311  (spreading, not secrecy)
        rejected.filter(pk__any_of=found[part::PARTS]).update(due_at=due_at)
    stopped = KeyRotation.objects.filter(ended_at=None, due_at=None, problem__isnull=False)
    stopped.update(due_at=now)
    if found:
        log.info(
            "what was rejected is tried once",
            rows=len(found),
            within_seconds=spread.total_seconds(),
        )
    return len(found)


def retry_rewritten_files() -> int:
    """Make roots due whose file on this machine was written after AWS rejected it.

    Returns how many roots.
    """
    readers = [kind.kind for kind in ROOT_KINDS.values() if kind.reads_a_file]
    stopped = Credential.objects.filter(
        level=0, problem__isnull=False, due_at=None, root__kind__in=readers, request__keeps=True
    )
    found = []
    for row in stopped.select_related("root"):
        written_at = ROOT_KINDS[row.root.kind].written_at(row.root.settings)
        tried = row.problem.tried if row.problem else None
        if written_at and tried and written_at > tried:
            # Once for each writing, also where this machine's clock is ahead of the database's.
            if _looked_at.get(row.pk) != written_at:
                found.append(row.pk)
            _looked_at[row.pk] = written_at
    Credential.objects.filter(pk__in=found, due_at=None).update(due_at=database_now())
    return len(found)
