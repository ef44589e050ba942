"""Prepare ledgers of which checkpoints were signed."""

import pytest
from django.db import connection

from sessions.ledger import signing, triggers
from tests.ledger.attacks import write
from tests.ledger.checkpoint_keys import PRIVATE, PUBLIC
from tests.ledger.receivers import certificate, receiver  # noqa: F401  (fixtures)


@pytest.fixture
def copy(tmp_path, settings):
    """Sign with keys of their own, into a copy outside."""
    settings.CHAINWEB_CHECKPOINT_KEY = PRIVATE
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = PUBLIC
    settings.CHAINWEB_CHECKPOINT_FILE = str(tmp_path / "checkpoints.jsonl")
    settings.CHAINWEB_CHECKPOINT_WEBHOOK = ""
    return tmp_path / "checkpoints.jsonl"


@pytest.fixture
def signed(transactional_db, copy):
    """Write nine lines; checkpoints are signed of the third and of the seventh."""
    write(3)
    signing.sign_and_send()
    write(4)
    signing.sign_and_send()
    write(2)
    return copy


@pytest.fixture
def attacked(signed):
    """Let whoever owns the database take the triggers off."""
    triggers.remove(connection)
    yield signed
    triggers.install(connection)
