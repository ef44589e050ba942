"""When what was not minted is tried again: from what the answer proves, and from what still lives.

A rejection is final only where nothing lives: IAM tells its places of a change one after the other, so a rotation that is
rejected now may be accepted in a minute, and until the end of what is served there is time to find out.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db.models import Max

from sessions.aws import proof
from sessions.aws.errors import AwsError
from sessions.aws.proof import About
from sessions.aws.roots import ROOT_KINDS
from sessions.lifecycle.outcomes import Blocked, Outcome, Refusal
from sessions.lifecycle.scouts import plain
from sessions.lifecycle.times import DEFERRED_FOR, PARENT_MARGIN, backoff, second_try, seldom
from sessions.models import Credential

# Rejections of these are looked at again where nothing lives, too: a region is enabled, a key is activated again.
PASSES_SOMETIME = {About.KEY, About.REGION}


def due_after(
    row: Credential, outcome: Refusal | Blocked, lives_until: datetime | None, now: datetime
) -> datetime | None:
    """When a row is tried again; None: when something changes, or a person asks. `lives_until` is the end of what it serves."""
    match outcome:
        case Refusal(error) if error.retryable or _is_worth_one_more(error, row):
            return now + backoff(row.attempts)
        case Refusal(error) if error.about is About.PERSON or _has_used_up_a_code(row):
            return None
        case Refusal(error):
            passes = error.about in PASSES_SOMETIME
        case Blocked(due_at=due_at) if due_at is not None:
            return due_at
        case Blocked(follows=True):
            return now + backoff(row.attempts)
        case Blocked(problem):
            passes = problem.get("hop") == 0 and not problem.get("waiting")
    last = lives_until - PARENT_MARGIN if lives_until else now
    if last > now:
        return min(now + second_try(row.attempts), last)
    return now + seldom() if passes else None


def _has_used_up_a_code(row: Credential) -> bool:
    """Tell whether another try would only find that a person has to type something first."""
    return row.level == 0 and any(
        not ask.approval for ask in ROOT_KINDS[row.root.kind].asks(row.root.settings)
    )


def _is_worth_one_more(error: AwsError, row: Credential) -> bool:
    """Tell whether it is tried once more at once: with a parent that is minted again, or signed again."""
    again = error.about is About.CALLER or error.code in proof.EXPIRED | proof.WRONG_SIGNATURE
    return again and (row.problem or {}).get("code") != error.code


def lives_until(results: Sequence[tuple[Credential, Outcome]], now: datetime) -> dict[str, datetime]:
    """{fingerprint: until when it, or something below it, is served}, of those that were not minted. A query a level."""
    rows = [row for row, outcome in results if isinstance(outcome, Refusal | Blocked)]
    found = {row.pk: row.expires_at for row in rows if row.expires_at and row.expires_at > now}
    standing_for = {row.pk: row.pk for row in rows}
    while standing_for:
        children = Credential.objects.filter(parent_id__any_of=standing_for)
        ends = children.filter(expires_at__gt=now).values("parent_id").annotate(ends=Max("expires_at"))
        for parent_id, end in ends.values_list("parent_id", "ends"):
            top = standing_for[parent_id]
            found[top] = max(found.get(top, end), end)
        further = children.filter(children__isnull=False).distinct().values_list("pk", "parent_id")
        standing_for = {pk: standing_for[str(parent_id)] for pk, parent_id in further}
    return found


def live_parents(results: Sequence[tuple[Credential, Outcome]], now: datetime) -> Collection[str]:
    """Find the parents that these rows stopped at and that live meanwhile: another worker was quicker than this commit."""
    stopped = {
        str(row.parent_id)
        for row, outcome in results
        if isinstance(outcome, Blocked) and outcome.due_at is None and row.parent_id
    }
    if not stopped:
        return ()
    live = Credential.objects.filter(
        pk__any_of=stopped, sealed__isnull=False, expires_at__gt=now + PARENT_MARGIN
    )
    return set(live.values_list("pk", flat=True))


def columns(
    row: Credential,
    outcome: Refusal | Blocked,
    problem: Mapping[str, object],
    until: datetime | None,
    parents: Collection[str],
    now: datetime,
) -> dict[str, object]:
    """The columns of a row that was not minted: its problem, and when it is tried again."""
    is_stale = isinstance(outcome, Blocked) and str(row.parent_id) in parents
    due_at = now + DEFERRED_FOR if is_stale else due_after(row, outcome, until, now)
    # "Rejected" is what a person reads where nothing is served any more, also if it is looked at again some day.
    retrying = bool(problem["retrying"]) or (due_at is not None and until is not None)
    return {
        "problem": {**plain(problem), "retrying": retrying},
        "attempts": min(row.attempts + 1, 1000),
        "due_at": due_at,
        "asked_at": None,
    }
