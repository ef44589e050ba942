"""Write sessions by the thousand in the shapes of the product's functions, and read their state."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from sessions import ledger
from sessions.activations.start_stop import start_sessions
from sessions.actors import Actor, NamedActor
from sessions.aws.credentials import AwsCredentials
from sessions.chains.identity import identity_of
from sessions.chains.requests import PlannedHop, plan
from sessions.credentials.payloads import seal_credentials
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.sessions import SessionStarted
from sessions.models import (
    Activation,
    AwsSession,
    Credential,
    Membership,
    Role,
    TeamPolicy,
)
from sessions.people.people import add_member, create_person, create_team
from sessions.secret import Secret
from sessions.tasks import rotate_due, wake_for_start
from tests.harness.seeding import ROWS_AT_ONCE, Link, chained_in_bulk, iam_user
from tests.harness.waiting import wait_until


@dataclass
class SeededTeam:
    """Hold a team of one member and one root, an IAM user, with chains of two hops.

    Each leaf is assumed from a middle role, each middle role from the root.
    """

    member: Membership
    root: AwsSession
    middles: list[AwsSession]
    leaves: list[AwsSession]

    @property
    def hops(self) -> int:
        """Count the AssumeRole calls that renew everything: each hop once."""
        return len(self.middles) + len(self.leaves)


def build(leaves: int, per_middle: int, slug: str = "bench") -> SeededTeam:
    """Make the sessions without starting any.

    Every middle role has an account of its own, as landing zones have.
    """
    team = create_team(slug, slug.title(), actor=NamedActor("bench"))
    user = create_person(f"{slug}-ada", Secret("correct horse battery staple"))
    member = add_member(team, user, Role.ADMIN, actor=NamedActor("bench"))
    root = iam_user(member, "root")
    middles = chained_in_bulk(
        member,
        (
            _link("middle", number, 200_000_000_000 + number, root)
            for number in range(-(-leaves // per_middle))
        ),
    )
    below = chained_in_bulk(
        member,
        (
            _link("leaf", number, 300_000_000_000 + number // 10, middles[number // per_middle])
            for number in range(leaves)
        ),
    )
    return SeededTeam(member, root, middles, below)


def _link(prefix: str, number: int, account: int, assumer: AwsSession) -> Link:
    role_arn = f"arn:aws:iam::{account}:role/{prefix.title()}{number}"
    return Link(f"{prefix} {number}", f"{prefix}-{number}", role_arn, assumer)


def start_all(seeded: SeededTeam, due_at: datetime | None = None) -> None:
    """Write in bulk what `start_session` and a first call leave behind.

    Every leaf is active, its credential live for another half an hour and due since `due_at` (not
    due if None); the middle roles' credentials have run out.
    """
    now = database_now()
    steps = {id(session): steps for session, steps in _plans(seeded)}
    tops: dict[str, Credential] = {}
    leaves = []
    activations = []
    for session in seeded.leaves:
        *above, last = steps[id(session)]
        for step in above:
            tops.setdefault(step.fingerprint, _row(step))
        leaf = _row(last)
        leaf.generation, leaf.access_key_id = 1, f"ASIA{random.getrandbits(64):016X}"
        leaf.minted_at, leaf.expires_at = now - timedelta(minutes=30), now + timedelta(minutes=30)
        leaf.due_at = due_at
        filling = Secret("x" * 500)
        leaf.sealed = seal_credentials(
            leaf, AwsCredentials(leaf.access_key_id, Secret("y" * 40), filling, leaf.expires_at), 1
        )
        leaves.append(leaf)
        activations.append(
            Activation(
                session=session,
                user=seeded.member.user,
                credential=leaf,
                started_at=now - timedelta(minutes=31),
                ends_at=now + timedelta(hours=12),
                identity=identity_of([seeded.root, session.link.assumer, session]),
            )
        )
    # Two people have their root in common.
    Credential.objects.bulk_create(
        sorted(tops.values(), key=lambda row: row.level), ignore_conflicts=True
    )
    Credential.objects.bulk_create(leaves, batch_size=ROWS_AT_ONCE)
    Activation.objects.bulk_create(activations, batch_size=ROWS_AT_ONCE)
    actor = Actor(seeded.member)
    for at in range(0, len(activations), ROWS_AT_ONCE):
        with transaction.atomic():
            lines = [
                Entry(
                    SessionStarted(
                        ends_at=each.ends_at, again=False, credential=each.credential_id
                    ),
                    actor,
                    each.session,
                )
                for each in activations[at : at + ROWS_AT_ONCE]
            ]
            ledger.append(seeded.member.team_id, lines)


def _plans(seeded: SeededTeam) -> Iterator[tuple[AwsSession, list[PlannedHop]]]:
    policy = TeamPolicy.of(seeded.member.team_id)
    for leaf in seeded.leaves:
        yield leaf, plan([seeded.root, leaf.link.assumer, leaf], seeded.member, policy)


def _row(step: PlannedHop) -> Credential:
    root = step.session
    assert root.team_id is not None
    return Credential(
        fingerprint=step.fingerprint,
        team_id=root.team_id,
        root_id=root.pk,
        parent_id=step.parent_fingerprint,
        level=step.level,
        request=step.hop.to_json() if step.hop else {},
    )


def make_overdue(leaves: Sequence[AwsSession], *, middles_too: bool = True) -> datetime:
    """Make these active leaves overdue by up to ten minutes in random order.

    They live for five minutes more; the middle roles' credentials have run out, if they are to be
    minted as well. The moment before which all of them were minted.
    """
    now = database_now()
    rows = Credential.objects.filter(activations__session__in=[leaf.pk for leaf in leaves])
    fingerprints = list(rows.values_list("pk", flat=True))
    random.shuffle(fingerprints)
    with transaction.atomic():  # or the workers would begin while this is written
        _write_overdue(fingerprints, now, middles_too)
    return now


def _write_overdue(fingerprints: Sequence[str], now: datetime, middles_too: bool) -> None:
    for at in range(0, len(fingerprints), ROWS_AT_ONCE):
        part = [
            Credential(
                pk=pk,
                due_at=now - timedelta(seconds=random.uniform(0, 600)),
                expires_at=now + timedelta(minutes=5),
            )
            for pk in fingerprints[at : at + ROWS_AT_ONCE]
        ]
        Credential.objects.bulk_update(part, ["due_at", "expires_at"])
    if middles_too:
        Credential.objects.filter(level=1).update(
            expires_at=now - timedelta(minutes=1), due_at=None
        )


def spread_out(minutes: float) -> None:
    """Spread the leaves' due times evenly over that many minutes, as in a steady hour."""
    now = database_now()
    rows = list(Credential.objects.filter(activations__isnull=False).only("pk"))
    random.shuffle(rows)
    for number, row in enumerate(rows):
        row.due_at = now + timedelta(minutes=minutes) * ((number + 1) / len(rows))
    for at in range(0, len(rows), ROWS_AT_ONCE):
        Credential.objects.bulk_update(rows[at : at + ROWS_AT_ONCE], ["due_at"])


def kick(processes: int) -> None:
    """Return a wake-up for every worker process, as one or two ticks of the clock bring them."""
    for _ in range(processes):
        rotate_due.apply_async(expires=60)


def something_due(before: datetime) -> bool:
    return Credential.objects.filter(due_at__lte=before).exists()


def minted_since(moment: datetime) -> int:
    """Count the active credentials issued since that moment."""
    return Credential.objects.filter(activations__isnull=False, minted_at__gt=moment).count()


def catch_up(leaves: Sequence[AwsSession], processes: int, *, middles_too: bool = True) -> float:
    """Make these overdue, wake the workers, and return the seconds until all are renewed."""
    moment = make_overdue(leaves, middles_too=middles_too)
    kick(processes)
    seconds = wait_until(lambda: not something_due(moment), "all to be renewed", 600)
    # Then the fresh ones are counted, which would cost too much to do all the time.
    return seconds + wait_until(
        lambda: minted_since(moment) >= len(leaves), "all to be renewed", 60
    )


def wait_until_active(
    sessions: Sequence[AwsSession], seconds: float, *, every: float = 0.05
) -> float:
    """Wait until all of these are active. Returns how long that took, in seconds."""
    return wait_until(
        lambda: active_among(sessions) == len(sessions),
        "all started sessions to be active",
        seconds,
        every,
    )


def active_among(sessions: Sequence[AwsSession]) -> int:
    """Count the active sessions among these: started, with a live credential."""
    return Activation.objects.filter(
        session__in=[session.pk for session in sessions],
        credential__sealed__isnull=False,
        credential__expires_at__gt=database_now(),
    ).count()


def start(sessions: Sequence[AwsSession], member: Membership) -> None:
    """Start sessions as page and API do: one transaction, then the wake-up."""
    fresh = AwsSession.objects.select_related("link", "team").filter(
        pk__in=[each.pk for each in sessions]
    )
    start_sessions(list(fresh), Actor(member))
    wake_for_start()


def lag_seconds() -> float:
    """Return for how long the most overdue credential has been due."""
    now = database_now()
    first = (
        Credential.objects.filter(due_at__isnull=False)
        .order_by("due_at")
        .values_list("due_at", flat=True)
        .first()
    )
    return max((now - first).total_seconds(), 0.0) if first else 0.0


def least_life_seconds() -> float:
    """Return the least life left of all that a member could get now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(c.expires_at) FROM chains_activation a JOIN chains_credential c "
            "ON c.fingerprint = a.credential_id WHERE c.sealed IS NOT NULL"
        )
        [(found,)] = cursor.fetchall()
    if isinstance(found, str):  # SQLite
        found = datetime.fromisoformat(f"{found}+00:00")
    return float((found - database_now()).total_seconds())
