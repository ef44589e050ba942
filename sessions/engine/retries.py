"""Decide when a rejected row is tried again: from what the answer proves and what still lives.

A rejection is final only where nothing lives: IAM tells its places of a change one after the other,
so a rotation that is rejected now may be accepted in a minute, and until the end of what is served
there is time to find out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from sessions.aws import proof
from sessions.aws.errors import AwsError
from sessions.aws.proof import About
from sessions.aws.roots import ROOT_KINDS
from sessions.credentials.outcomes import Blocked, Outcome, Rejection, tries_before
from sessions.credentials.timing import DEFERRED_FOR, PARENT_MARGIN, backoff, second_try, seldom
from sessions.models import Credential, Problem
from sessions.roots.codes import restore_codes

# Rejections of these are looked at again where nothing lives, too: a region is enabled, a key is
# activated again.
PASSES_SOMETIME = {About.KEY, About.REGION}

# A code that is sent later than so long before it runs out is too late at AWS.
LEAST_FOR_A_CODE = timedelta(seconds=10)


def due_after(
    row: Credential, outcome: Rejection | Blocked, lives_until: datetime | None, now: datetime
) -> datetime | None:
    """Return when a row is tried again; None: when something changes, or a person asks.

    `lives_until` is the end of what it serves.
    """
    tries = tries_before(row, outcome.problem)
    match outcome:
        case Rejection(error, codes=codes) if error.retryable or _is_worth_one_more(error, row):
            return min([now + backoff(tries), *(max(each.ends_at, now) for each in codes)])
        case Rejection(error) if error.about is About.PERSON:
            return None
        case Rejection(codes=codes) if _asks_for_a_code(row):
            # Without one there is nothing to try; this one serves a little longer.
            last = min((each.ends_at - LEAST_FOR_A_CODE for each in codes), default=now)
            return last if lives_until and last > now else None
        case Rejection(error):
            passes = error.about in PASSES_SOMETIME
        case Blocked(due_at=due_at) if due_at is not None:
            return max(due_at, now + DEFERRED_FOR)
        case Blocked(finds_out=False):
            return None
        case Blocked(passes=True):
            return now + backoff(tries)
        case Blocked():
            passes = True
    if lives_until and lives_until > now:
        return now + second_try(tries, lives_until - now)
    return now + seldom() if passes else None


def _asks_for_a_code(row: Credential) -> bool:
    """Tell whether a try without a code would only find that a person has to type one first."""
    if row.level > 0:
        return False
    return bool(ROOT_KINDS[row.root.kind].code_challenges(row.root.settings))


def _is_worth_one_more(error: AwsError, row: Credential) -> bool:
    """Tell whether a hop is tried once more at once.

    With a parent that is minted again, or signed again.
    """
    again = error.about is About.CALLER or error.code in proof.EXPIRED | proof.WRONG_SIGNATURE
    return again and (row.problem is None or row.problem.code != error.code)


def lives_until(
    results: Sequence[tuple[Credential, Outcome]], now: datetime
) -> dict[str, datetime]:
    """Return {fingerprint: until when it, or one below it, is served} of those not issued.

    A query a level.
    """
    rows = [row for row, outcome in results if isinstance(outcome, Rejection | Blocked)]
    found = {row.pk: row.expires_at for row in rows if row.expires_at and row.expires_at > now}
    standing_for = {row.pk: row.pk for row in rows}
    while standing_for:
        children = Credential.objects.filter(parent_id__any_of=standing_for)
        ends = (
            children.filter(expires_at__gt=now).values("parent_id").annotate(ends=Max("expires_at"))
        )
        for parent_id, end in ends.values_list("parent_id", "ends"):
            top = standing_for[parent_id]
            found[top] = max(found.get(top, end), end)
        further = children.filter(children__isnull=False).distinct().values_list("pk", "parent_id")
        standing_for = {pk: standing_for[str(parent_id)] for pk, parent_id in further}
    return found


def live_parents(results: Sequence[tuple[Credential, Outcome]], now: datetime) -> Collection[str]:
    """Find the parents these rows stopped at that live by now: another worker was quicker."""
    stopped = {
        str(row.parent_id)
        for row, outcome in results
        if isinstance(outcome, Blocked) and row.parent_id and outcome.problem.hop < row.level
    }
    if not stopped:
        return ()
    live = Credential.objects.filter(
        pk__any_of=stopped, sealed__isnull=False, expires_at__gt=now + PARENT_MARGIN
    )
    return set(live.values_list("pk", flat=True))


def columns(
    row: Credential,
    outcome: Rejection | Blocked,
    problem: Problem,
    until: datetime | None,
    parents: Collection[str],
    now: datetime,
) -> dict[str, object]:
    """Return the columns of a row that was not minted: its problem and when it is tried again."""
    is_stale = isinstance(outcome, Blocked) and str(row.parent_id) in parents
    due_at = now + DEFERRED_FOR if is_stale else due_after(row, outcome, until, now)
    # "Rejected" is what a person reads where nothing is served any more, also if it is looked at
    # again some day.
    retrying = problem.retrying or (due_at is not None and until is not None)
    said = replace(problem.untried(), retrying=retrying)
    if isinstance(outcome, Rejection) and _is_worth_one_more(outcome.error, row):
        # Not before that is rejected as well.
        said = replace(said, retrying=True, rejected=False)
    if row.is_cached_root:
        said = replace(said, tried=now)
    if isinstance(outcome, Rejection) and due_at is not None and restore_codes(row, outcome.codes):
        said = replace(said, unanswered=outcome.unanswered)
    return {
        "problem": said,
        "attempts": min(tries_before(row, problem) + 1, 1000),
        "due_at": due_at,
        "asked_at": None,
    }


def copy_problems_below(
    written: Mapping[str, Mapping[str, Any]], before: Mapping[str, Credential]
) -> None:
    """Give these rows' problems to the rows below that nothing retries, in the same transaction."""
    news: dict[str, Problem] = {
        pk: columns["problem"]
        for pk, columns in written.items()
        if columns["problem"] and _is_new(columns["problem"], before[pk])
    }
    standing_for = {pk: pk for pk in news}
    while standing_for:
        waiting = Credential.objects.filter(
            parent_id__any_of=standing_for, due_at=None, problem__isnull=False
        ).values_list("pk", "parent_id", "level")
        standing_for = {
            pk: standing_for[str(parent_id)]
            for pk, parent_id, level in waiting
            if news[standing_for[str(parent_id)]].hop < level
        }
        for top in set(standing_for.values()):
            below = [pk for pk, each in standing_for.items() if each == top]
            Credential.objects.filter(pk__any_of=below).update(problem=news[top].untried())


def _is_new(problem: Problem, row: Credential) -> bool:
    known = row.problem
    return known is None or (
        (problem.code, problem.hop, problem.message) != (known.code, known.hop, known.message)
    )
