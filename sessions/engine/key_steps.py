"""Take the steps of key rotations that are due."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from sessions import ledger, sealing
from sessions.activations.moves import follow
from sessions.actors import WORKER
from sessions.aws import key_rotation, proof
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, WaitingForPerson
from sessions.aws.key_rotation import Rotation, Step
from sessions.aws.responses import CallerIdentity
from sessions.aws.roots import ROOT_KINDS
from sessions.aws.sts import caller_identity
from sessions.chains.requests import root_row
from sessions.credentials.endpoints import call_with_fallback, route_of
from sessions.credentials.outcomes import cannot_open, problem_of, tries_before
from sessions.credentials.payloads import (
    open_credentials,
    open_root_secrets,
    seal_credentials,
    seal_root_secrets,
)
from sessions.credentials.timing import PARENT_MARGIN, backoff, second_try
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events import EventData
from sessions.ledger.events.roots import KeyRotationEnded, KeyRotationRejected, KeyRotationStep
from sessions.locks.busy_teams import LONG_LOCK_TIMEOUT_SECONDS, set_lock_timeout, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import AwsSession, Credential, KeyRotation
from sessions.roots import notices
from sessions.roots.key_rotation import _current_id, _names
from sessions.sealing import SealingError

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 20
# About an hour.
MOST_SECOND_TRIES = 10
ENDS = {Step.DONE, Step.WITHDRAW}


class LostHold(Exception):
    """Report that another worker has the rotation by now, or that the root is gone."""


def work_due() -> int:
    """Take the steps that are due, rotation by rotation, as far as each comes.

    Returns how many it has held.
    """
    held = 0
    for row in KeyRotation.objects.hold_due(MOST_AT_ONCE):
        held += 1
        with skip_if_busy():
            _work_on(row)
    return held


def _work_on(row: KeyRotation) -> None:
    try:
        store = DatabaseStore(row)
        try:
            if not store.row.user_arn:
                store.begin()
                notices.record_working_key(store.row.root)
            # A step that writes here writes its event with it; what is done at AWS alone is told
            # afterwards.
            region = store.row.root.sts_home
            while (
                step := key_rotation.take_step(store, region, database_now(), store.who_is)
            ) not in ENDS:
                store.took(step)
                notices.record_working_key(store.row.root)
            store.end(step)
        except AwsError as error:
            store.put_off(error)
        except SealingError as error:
            log.error(
                "what a root holds does not open", root=str(store.row.root_id), reason=str(error)
            )
            store.put_off(cannot_open(0, str(error)))
    except LostHold:
        log.info("a key rotation goes on elsewhere", rotation=str(row.pk))


@dataclass
class DatabaseStore:
    """Implement `aws.key_rotation.Store` over the row and its root.

    Every write is conditional on the fence and is one transaction.
    """

    row: KeyRotation

    def __post_init__(self) -> None:
        self._load()

    def _load(self) -> None:
        assert self.row.fence is not None
        held = KeyRotation.objects.held(self.row.fence).select_related("root__team", "team")
        row = held.filter(pk=self.row.pk).first()
        if row is None:
            raise LostHold
        self.row = row
        self.rotation = Rotation(
            row.user_name,
            row.user_arn,
            row.old_key_id,
            row.new_key_id,
            row.new_key_at,
            row.verified,
            row.withdrawn,
        )

    @contextmanager
    def _team_locked(self, seconds: float | None = None) -> Iterator[None]:
        """Open a transaction under the team's lock, for which it waits so long."""
        with transaction.atomic(durable=True):
            if seconds is not None:
                set_lock_timeout(seconds)
            lock_team(self.row.team_id)
            yield

    def _write(self, **changes: Any) -> None:
        """Write to the row inside a transaction."""
        if not self.row.write(**changes):
            raise LostHold

    def _release(self, **changes: Any) -> None:
        """Write to the row inside a transaction, for the last time."""
        if not self.row.release(**changes):
            raise LostHold

    def _take(self, step: Step, **changes: Any) -> None:
        """Write a step that was taken, with its event, inside a transaction."""
        self._write(step=str(step), problem=None, attempts=0, **changes)
        self._load()
        self._say(KeyRotationStep, step=str(step))

    def _say(self, kind: Callable[..., EventData], **about: str) -> None:
        said = kind(
            people=(self.row.asked_by,),
            old_key_id=self.row.old_key_id,
            new_key_id=self.row.new_key_id,
            **about,
        )
        ledger.append(self.row.team_id, [Entry(said, WORKER, self.row.root)])

    # --- what aws.key_rotation asks of it ---------------------------------------------------------

    def key(self) -> AwsCredentials:
        root = self.row.root
        _, secret_name = _names(root)
        secret = open_root_secrets(root.sealed_secrets, root.seal_context).get(secret_name)
        if secret is None:
            raise Rejected(
                "NoSecret", 0, "The root's key is not stored.", "Enter the root's key again."
            )
        return AwsCredentials(_current_id(root), secret)

    def new_key(self) -> AwsCredentials:
        assert self.row.sealed_new is not None
        return AwsCredentials(
            self.row.new_key_id, sealing.open_as_worker(self.row.sealed_new, self.row.seal_context)
        )

    def signing(self) -> AwsCredentials:
        root = self.row.root
        if not ROOT_KINDS[root.kind].challenges(root.settings):
            return self.key()
        cached = root_row(root)
        if cached is None or not cached.is_live(database_now() + PARENT_MARGIN):
            raise WaitingForPerson(
                "CodeNeeded",
                0,
                "The root's user needs an MFA code before the key can be rotated.",
                (
                    "Start a session that is assumed from this root and submit the "
                    "code; then continue."
                ),
            )
        return open_credentials(cached)

    def keep(self, new: AwsCredentials, created_at: datetime) -> None:
        sealed = sealing.seal_to_workers(new.secret_access_key, self.row.seal_context)
        with self._team_locked(LONG_LOCK_TIMEOUT_SECONDS):  # AWS shows a key's secret once
            self._take(
                Step.CREATE,
                new_key_id=new.access_key_id,
                new_key_at=created_at,
                sealed_new=sealed,
                verified=False,
            )

    def mark_verified(self) -> None:
        with self._team_locked():
            self._take(Step.VERIFY, verified=True)

    def switch(self) -> None:
        with self._team_locked():
            self._write()
            root = AwsSession.objects.select_for_update().get(pk=self.row.root_id)
            id_name, secret_name = _names(root)
            if root.settings.get(id_name) != self.row.old_key_id:
                raise Rejected(
                    "KeyChanged",
                    0,
                    "The root was given another key during the rotation.",
                    "Rotate the new key.",
                )
            cached = root_row(root)
            secrets = open_root_secrets(root.sealed_secrets, root.seal_context)
            secrets[secret_name] = self.new_key().secret_access_key
            root.settings = {**root.settings, id_name: self.row.new_key_id}
            root.secret_version += 1
            root.version += 1
            root.sealed_secrets = seal_root_secrets(secrets, root.seal_context)
            root.save(
                update_fields=[
                    "settings",
                    "secret_version",
                    "sealed_secrets",
                    "version",
                    "updated_at",
                ]
            )
            now = database_now()
            _keep_session(cached, root, now)
            follow(root.team_id, now, below=root)
            # From here on the secret is the root's alone.
            self._take(Step.SWITCH, sealed_new=None)

    # --- the rest of the row ----------------------------------------------------------------------

    def who_is(self, key: AwsCredentials, _: str) -> CallerIdentity:
        """Ask STS whose that key is, at the root's STS region or at one that stands in for it."""
        return call_with_fallback(
            route_of(self.row.root), lambda region: caller_identity(key, region)
        )

    def begin(self) -> None:
        key, signing = self.key(), self.signing()
        begun = key_rotation.begin(key, signing, self.row.root.sts_home, self.who_is)
        with transaction.atomic(durable=True):
            self._write(user_name=begun.user_name, user_arn=begun.user_arn)
            same = AwsSession.objects.filter(
                pk=self.row.root_id, secret_version=self.row.root.secret_version
            )
            same.filter(identity_arn="").update(identity_arn=begun.user_arn)
        self._load()

    def took(self, step: Step) -> None:
        if step not in {Step.DEACTIVATE, Step.DELETE}:
            return
        with self._team_locked():
            self._take(step)

    def end(self, step: Step) -> None:
        with self._team_locked():
            self._release(
                step=str(step),
                problem=None,
                due_at=None,
                ended_at=database_now(),
                sealed_new=None,
            )
            self._say(KeyRotationEnded, step=str(step))

    def put_off(self, error: AwsError) -> None:
        """Tried again by itself where that helps; otherwise when a person says so."""
        now = database_now()
        problem = problem_of(error, since=now)
        begun = bool(self.row.user_arn)
        tries = tries_before(self.row, problem)
        due_at = now + max(backoff(tries), timedelta(seconds=1)) if error.retryable else None
        # A policy that was changed a moment ago is not known everywhere yet.
        if begun and error.code in proof.DENIED and tries < MOST_SECOND_TRIES:
            due_at = now + second_try(tries)
        with self._team_locked():
            changes: dict[str, Any] = {"problem": problem, "due_at": due_at}
            nothing_changed = (
                not begun and due_at is None and not isinstance(error, WaitingForPerson)
            )
            if nothing_changed or error.code == "KeyChanged":
                changes |= {"ended_at": now, "sealed_new": None}
            self._release(attempts=min(tries + 1, 1000), **changes)
            if self.row.problem is None or self.row.problem.code != error.code:
                self._say(KeyRotationRejected, code=error.code, message=error.message)


def _keep_session(old: Credential | None, root: AwsSession, now: datetime) -> None:
    """Keep the session that the old key has opened with a code: it is the same user's.

    No code is asked for again.
    """
    if old is None or not old.is_live(now + PARENT_MARGIN):
        return
    given = open_credentials(old)
    row = root_row(root, make=True)
    assert row is not None
    row.generation += 1
    row.sealed = seal_credentials(row, given, row.generation)
    row.access_key_id, row.minted_at, row.expires_at = (
        old.access_key_id,
        old.minted_at,
        old.expires_at,
    )
    row.save()
