"""Run Celery's tasks: they carry ids at most, and nothing depends on a message arriving."""

import time
from datetime import timedelta
from typing import Any

import redis
import structlog
from celery import shared_task
from django.conf import settings
from kombu.exceptions import OperationalError

from sessions.activations import deliveries, ending, moves
from sessions.catalog import deletions, pending_imports, probes
from sessions.chains import impersonation
from sessions.db.clock import database_now
from sessions.delivery import console
from sessions.engine import (
    approval_steps,
    console_sign_in,
    key_steps,
    root_probes,
    rotation,
    scoping,
    second_look,
    trail,
)
from sessions.engine.claims import next_due_at
from sessions.ledger import names, periods, signing
from sessions.ledger.drift import follow
from sessions.ledger.siem import lookup, stream
from sessions.locks.busy_teams import skip_if_busy
from sessions.monitoring.heartbeats import CHECKPOINTS, keep_places, seconds_since, stamp
from sessions.monitoring.redis import client
from sessions.people import failed_log_ins, keyed_requests, people
from sessions.roots import approvals, codes

log = structlog.get_logger(__name__)

# One task works as long as there is work, but lets others have the process now and then.
LONGEST_RUN_SECONDS = 10.0
# Work that falls due within this time is waited for: a child whose parent another worker is
# minting.
SHORT_WAIT = timedelta(seconds=0.5)
# Bulk waits so long after its last large run, and looks so often. What falls due later is the next
# tick's: the process is free for others meanwhile, and a run for ten credentials costs little more
# than one for one.
LINGER_SECONDS = 1.0
LOOK_SECONDS = 0.2
MUCH_AT_ONCE = 50
# A wake-up that is under way speaks for all that come within this time.
WAKE_MILLISECONDS = 1000
# What a place outside did not take of the checkpoints is sent again after this long.
RESEND_SECONDS = 30.0
# After the broker did not answer, pages do not ask it again for this long.
BROKER_REST_SECONDS = 5.0


@shared_task
def rotate_due() -> None:
    """Work off what is due, until nothing is."""
    if not rotate_due.request.called_directly:
        stamp("bulk")  # messages arrive, also while the clock's wait behind this
    _work_off(rotate_due, asked_only=False)


@shared_task
def rotate_asked() -> None:
    """Work off what a person waits for; it has a queue and a worker of its own."""
    _work_off(rotate_asked, asked_only=True)


def _work_off(task: Any, *, asked_only: bool) -> None:
    _forget_wake(task.name)
    until = time.monotonic() + LONGEST_RUN_SECONDS
    linger_until = until if asked_only else time.monotonic() + LINGER_SECONDS
    while time.monotonic() < until:
        held = rotation.run(asked_only=asked_only, seconds=until - time.monotonic())
        if held >= (1 if asked_only else MUCH_AT_ONCE):
            linger_until = max(linger_until, time.monotonic() + LINGER_SECONDS)
            continue
        due_at = next_due_at(asked_only=asked_only)
        wait = due_at - database_now() if due_at else None
        if wait is None or wait > SHORT_WAIT or time.monotonic() >= linger_until:
            return
        time.sleep(max(wait.total_seconds(), 0.02 if asked_only else LOOK_SECONDS))
    _publish(task)


@shared_task
def tick() -> None:
    """Do the clock's work, sent by beat: two ticks, or a late one, do no harm."""
    stamp("clock")
    _sweep(by_message=True)


@shared_task
def sweep() -> None:
    """Do the clock's work; a worker that misses the clock sends this to itself."""
    stamp("sweep")
    _sweep(by_message=True)


def sweep_now() -> None:
    """Do the clock's work here, without the broker."""
    _sweep(by_message=False)


def _sweep(*, by_message: bool) -> None:
    """End what has ended and rotate what is due; a held row delays nothing else."""
    for step in (
        ending.end_overdue,
        ending.end_of_people_who_left,
        deliveries.end_overdue,
        scoping.try_again,
        probes.delete_overdue,
        pending_imports.delete_overdue,
        codes.delete_old,
        console.delete_overdue,
        second_look.retry_rewritten_files,
        approvals.delete_unneeded,
        people.forget_ended_log_ins,
        keyed_requests.forget_keyed_requests,
        failed_log_ins.tell_of_failures,
        impersonation.remember_aliases,
    ):
        with skip_if_busy():
            step()
    # Something asked for is still there: its wake-up has got lost, with the broker or a worker.
    if next_due_at(asked_only=True) and not (by_message and wake_for_start()):
        rotate_asked()
    # Bulk takes its time, and the next tick is not to wait for that.
    if not (by_message and wake()):
        rotate_due()
    if console_sign_in.is_due() and not (by_message and wake_for_console()):
        get_sign_in_tokens()
    if moves.is_due() and not (by_message and _publish(follow_changes)):
        follow_changes()
    if deletions.is_due() and not (by_message and _publish(clear_deleted)):
        clear_deleted()
    if by_message and trail.is_due():
        wake_for_trail()
    look_at_approvals()
    rotate_keys()
    if _are_checkpoints_due() and not (by_message and _publish(sign_checkpoints)):
        sign_checkpoints()
    # Last: a SIEM that does not answer delays nothing before it.
    if stream.is_due() and not (by_message and _publish(send_to_siem)):
        send_to_siem()


@shared_task
def run_root_probe(probe_id: str) -> None:
    """Ask AWS who a root draft is."""
    root_probes.run_root_probe(probe_id)


@shared_task
def look_at_approvals() -> None:
    """Get the pages that people approve on, see what they have approved, and fetch lists."""
    _forget_wake(look_at_approvals.name)
    while approval_steps.work_due():
        wake_for_start()


@shared_task
def get_sign_in_tokens() -> None:
    """Get the console's sign-in tokens that people wait for."""
    _forget_wake(get_sign_in_tokens.name)
    console_sign_in.work_off()


@shared_task
def rotate_keys() -> None:
    """Take the steps of key rotations that are due."""
    _forget_wake(rotate_keys.name)
    while key_steps.work_due():
        wake()


@shared_task
def follow_changes() -> None:
    """Move active sessions to what their chains ask for since a change, in parts."""
    _forget_wake(follow_changes.name)
    moves.work_off(LONGEST_RUN_SECONDS)
    wake()
    if moves.is_due():
        _publish(follow_changes)


@shared_task
def clear_deleted() -> None:
    """Clear away what is left of deleted sessions, in parts."""
    _forget_wake(clear_deleted.name)
    deletions.work_off(LONGEST_RUN_SECONDS)
    if deletions.is_due():
        _publish(clear_deleted)


@shared_task
def sign_checkpoints() -> None:
    """Sign where each team's ledger ends, and send it outside the database.

    Before the month ends the next one's partition is made.
    """
    _forget_wake(sign_checkpoints.name)
    periods.make_next()
    if settings.CHAINWEB_CHECKPOINT_KEY:
        keep_places(CHECKPOINTS, signing.sign_and_send())
        stamp(CHECKPOINTS)


def _are_checkpoints_due() -> bool:
    """Tell whether it is time to sign, or to send again what a place outside did not take."""
    if not settings.CHAINWEB_CHECKPOINT_KEY:
        return False
    age = seconds_since(CHECKPOINTS, database_now())
    return (
        age is None
        or age >= settings.CHECKPOINT_SECONDS
        or (age >= RESEND_SECONDS and signing.has_unsent())
    )


@shared_task
def send_to_siem() -> None:
    """Stream what was issued and delivered to the places that the settings name."""
    _forget_wake(send_to_siem.name)
    if stream.work_off(LONGEST_RUN_SECONDS):
        _publish(send_to_siem)


@shared_task
def write_lookup_file() -> None:
    """Rewrite the table in which a SIEM looks up keys."""
    lookup.write_file()


@shared_task
def count_names() -> None:
    """Count the role session names of what was issued since the last time."""
    names.count_all()


@shared_task
def read_trail() -> None:
    """Read what is to be read of CloudTrail: a file to its end, of look-ups some pages."""
    _forget_wake(read_trail.name)
    trail.work_off(LONGEST_RUN_SECONDS)
    if trail.is_due():
        wake_for_trail()


@shared_task
def compare_trail() -> None:
    """Compare records of CloudTrail again that the ledger has news about."""
    follow.follow_all(LONGEST_RUN_SECONDS)


def wake_for_trail() -> None:
    """Tell a worker that records of CloudTrail are to be read, or cleared away."""
    _publish(read_trail)


def wake_after_change() -> None:
    """Tell workers that something is due since a change, and that much may have to follow it."""
    wake()
    if moves.is_due():
        _publish(follow_changes)


def wake_after_deletion() -> None:
    """Tell a worker to clear away a deletion that was too much for one step."""
    if deletions.is_due():
        _publish(clear_deleted)


def wake() -> bool:
    """Tell a worker that something is due.

    False if the broker is away; the clock finds it then, so nothing is lost.
    """
    return _publish(rotate_due)


def wake_for_start() -> bool:
    """Tell the worker kept for starts that a person waits. False if the broker is away."""
    return _publish(rotate_asked)


def wake_for_console() -> bool:
    """Tell a worker that somebody waits to be signed in to the console."""
    return _publish(get_sign_in_tokens)


def wake_for_approvals() -> None:
    """Tell a worker to get a page to approve on, to look whether it was, or to fetch a list."""
    _publish(look_at_approvals)


def wake_for_key_rotation() -> None:
    """Tell a worker that a root's key is to be replaced, or is not after all."""
    _publish(rotate_keys)


def wake_for_probe(probe_id: str) -> None:
    """Tell a worker to try a root draft."""
    _publish(run_root_probe, probe_id)


_broker_rests_until = 0.0


def _publish(task: Any, *ids: str) -> bool:
    """Put a message into the queue without waiting long; one of the same content is enough."""
    global _broker_rests_until
    if time.monotonic() < _broker_rests_until:
        return False
    try:
        # Asked with a short time-out first: kombu's own would let a page wait for a broker that
        # hangs.
        name = f"chainweb:wake:{task.name}:{''.join(ids)}"
        if client().set(name, "1", nx=True, px=WAKE_MILLISECONDS):
            task.apply_async(args=ids, expires=60)
        return True
    except (OperationalError, redis.RedisError, OSError) as error:
        _broker_rests_until = time.monotonic() + BROKER_REST_SECONDS
        log.warning(
            "the broker did not take a wake-up; the clock will",
            task=task.name,
            error=type(error).__name__,
        )
        return False


def _forget_wake(task_name: str) -> None:
    """Allow new wake-ups from here on.

    This task may not see what is committed after this.
    """
    try:
        client().delete(f"chainweb:wake:{task_name}:")
    except redis.RedisError as error:
        log.warning("a wake-up is not forgotten; it ends by itself", error=type(error).__name__)
