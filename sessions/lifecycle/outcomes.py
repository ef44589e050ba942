"""What became of each credential of a level, and the one transaction that writes it down."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from sessions import ledger
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, CredentialsExpired, Refused, Unavailable
from sessions.clock import database_now
from sessions.ledger import Entry
from sessions.lifecycle.blobs import seal_credentials
from sessions.lifecycle.claims import Claim
from sessions.lifecycle.needs import Need
from sessions.lifecycle.plan import rotation_time
from sessions.models import Activation, Credential, EventKind, Probe

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True)
class Minted:
    """AWS answered with credentials."""

    credentials: AwsCredentials
    parent_access_key_id: str
    arn: str


@dataclass(frozen=True)
class Refusal:
    """AWS, or the way there, said no for this very hop."""

    error: AwsError


@dataclass(frozen=True)
class Blocked:
    """A hop further up has this problem. `follows`: look again when that hop's backoff is over."""

    problem: dict[str, Any]
    due_at: datetime | None
    follows: bool = False


@dataclass(frozen=True)
class Deferred:
    """Another worker is minting the parent: look again in a moment."""

    wait: timedelta


Outcome = Minted | Refusal | Blocked | Deferred


def cannot_open(level: int, reason: str) -> AwsError:
    """A sealed value that this worker cannot open, in the words of the other problems."""
    return Unavailable(
        code="CannotOpen",
        hop=level,
        message=reason,
        check="Check CHAINWEB_SEAL_KEYS and CHAINWEB_ROOT_KEYS in the workers' environment.",
    )


def problem_of(error: AwsError, since: datetime | None = None) -> dict[str, Any]:
    """What a person reads of an error: {code, hop, message, check, since, retrying}."""
    return {
        "code": error.code,
        "hop": error.hop,
        "message": error.message,
        "check": error.check,
        "since": since.isoformat(timespec="seconds") if since else None,
        "retrying": error.retryable,
    }


def backoff(attempts: int) -> timedelta:
    """Full jitter: anywhere up to a ceiling that doubles with each attempt."""
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**attempts)
    return timedelta(seconds=random.uniform(0.2, ceiling))  # noqa: S311  (spreading, not secrecy)


def release_unneeded(claim: Claim, fingerprints: Collection[str]) -> None:
    """Gives back what nobody needs any more; it is not due for anything."""
    if fingerprints:
        _held(claim, fingerprints).update(due_at=None, lease_until=None)


@transaction.atomic(durable=True)
def commit_level(
    claim: Claim, results: Sequence[tuple[Credential, Outcome]], needs: Mapping[str, Sequence[Need]]
) -> set[str]:
    """Writes a level's results, states and events as one transaction; returns the rows that were still ours.

    Whatever the fence no longer covers is dropped: nothing stored, no event.
    """
    now = database_now()
    # Locked before the needs are read: a start or stop in another transaction comes wholly before or wholly after.
    held = set(
        _held(claim, [row.pk for row, _ in results])
        .select_for_update()
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    taken_away = {
        *Activation.objects.filter(credential_id__in=held).values_list("credential_id", flat=True),
        *Probe.objects.filter(credential_id__in=held).values_list("credential_id", flat=True),
    }
    entries: dict[str, list[Entry]] = {}
    for row, outcome in results:
        if row.pk not in held:
            continue
        changes, entry = _changes(row, outcome, needs[row.pk], now, row.pk in taken_away)
        Credential.objects.filter(pk=row.pk).update(lease_until=None, **changes)
        if entry:
            entries.setdefault(str(row.team_id), []).append(entry)
        if isinstance(outcome, Minted):
            # Children that stopped at this hop are looked at again: nobody has to do anything by hand.
            Credential.objects.filter(parent=row, problem__isnull=False, due_at=None).update(due_at=now)
        elif isinstance(outcome, Refusal) and isinstance(outcome.error, CredentialsExpired):
            # AWS knows better than we do when the parent ended: it is minted anew before the next try.
            Credential.objects.filter(pk=row.parent_id, level__gt=0).update(expires_at=now)
    for team_id in sorted(entries):
        ledger.append(team_id, entries[team_id])
    return held


def _held(claim: Claim, fingerprints: Collection[str]) -> QuerySet[Credential]:
    return Credential.objects.filter(pk__in=fingerprints, fence=claim.fence)


def _changes(
    row: Credential, outcome: Outcome, needs: Sequence[Need], now: datetime, needed_directly: bool
) -> tuple[dict[str, Any], Entry | None]:
    """The columns to write for one outcome, and the ledger's line about it."""
    match outcome:
        case Minted(credentials):
            return _minted(row, outcome, needs, now, needed_directly), _line(
                row,
                EventKind.CREDENTIAL_MINTED,
                needs,
                {
                    "access_key_id": credentials.access_key_id,
                    "parent_access_key_id": outcome.parent_access_key_id,
                    "arn": outcome.arn,
                    "expires_at": credentials.expires_at.isoformat(timespec="seconds")
                    if credentials.expires_at
                    else None,
                },
            )
        case Refusal(error):
            problem = problem_of(error, since=_since(row, error.code, now))
            again = error.retryable or (_worth_one_more(error) and row.attempts == 0)
            changes = {
                "problem": problem,
                "attempts": min(row.attempts + 1, 1000),
                "due_at": now + backoff(row.attempts) if again else None,
            }
            entry = _line(
                row,
                EventKind.CREDENTIAL_REFUSED,
                needs,
                {"code": error.code, "at_hop": error.hop, "message": error.message},
            )
            # One line per refusal, not one per try of an outage.
            return changes, entry if (row.problem or {}).get("code") != error.code else None
        case Blocked(problem, due_at, follows):
            since = (
                (row.problem or {}).get("since") or problem.get("since") or now.isoformat(timespec="seconds")
            )
            due_at = now + backoff(row.attempts) if follows else due_at
            return {
                "problem": {**problem, "since": since},
                "due_at": due_at,
                "attempts": min(row.attempts + 1, 1000),
            }, None
        case Deferred(wait):
            return {"due_at": now + wait}, None


def _minted(
    row: Credential, minted: Minted, needs: Sequence[Need], now: datetime, needed_directly: bool
) -> dict[str, Any]:
    generation = row.generation + 1
    expires_at = minted.credentials.expires_at
    return {
        "sealed": seal_credentials(row, minted.credentials, generation),
        "generation": generation,
        "access_key_id": minted.credentials.access_key_id,
        "minted_at": now,
        "expires_at": expires_at,
        # A hop that is only on the way is minted again when something below needs it, not by the clock.
        "due_at": rotation_time(now, expires_at) if needed_directly and expires_at else None,
        "attempts": 0,
        "problem": None,
    }


def _since(row: Credential, code: str, now: datetime) -> datetime:
    if row.problem and row.problem.get("code") == code and row.problem.get("since"):
        return datetime.fromisoformat(row.problem["since"])
    return now


def _worth_one_more(error: AwsError) -> bool:
    return isinstance(error, CredentialsExpired) or (
        isinstance(error, Refused) and error.code == "SignatureDoesNotMatch"
    )


def _line(row: Credential, kind: EventKind, needs: Sequence[Need], data: dict[str, Any]) -> Entry:
    session = next((need.session for need in needs if need.direct and need.session), None)
    return Entry(
        kind,
        "worker",
        session,
        {
            "credential": row.pk,
            "hop": row.level,
            "role_arn": row.request["role_arn"],
            "role_session_name": row.request["role_session_name"],
            "for": sorted({need.person for need in needs}),
            **data,
        },
    )
