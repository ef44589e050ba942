"""Fetch by fifty threads over three rotations: no mixed keys, one call for each generation."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from sessions.activations.start_stop import rotate_session
from sessions.actors import Actor, NamedActor
from sessions.delivery.reveal import Preparing, reveal
from sessions.models import Token
from sessions.people.tokens import create_token
from tests.delivery.test_scoped import scoped_calls, set_policy

# Whoever waits for SQLite's one lock comes in any order: many would wait for minutes.
THREADS = 50 if connection.vendor == "postgresql" else 10
ROTATIONS = 3
PATIENCE_SECONDS = 120


def test_fifty_threads_over_three_rotations_get_whole_keys(lasting_house):
    house = lasting_house
    set_policy(house)
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    create_token(house.ben, "laptop", NamedActor("tests"))
    actor = Actor(house.ben, Token.objects.get(name="laptop"))
    with pytest.raises(Preparing):
        reveal(leaf, actor, form="process", via="token laptop")
    house.work()
    phases = threading.Barrier(THREADS + 1)

    def fetch(_):
        """Fetch once while each rotation is under way, and once after the last."""
        seen = []
        try:
            for _ in range(ROTATIONS + 1):
                phases.wait(PATIENCE_SECONDS)
                seen.append(fetched_once())
            return seen
        finally:
            connection.close()

    def fetched_once():
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return reveal(leaf, actor, form="process", via="token laptop")
            except OperationalError:  # the ledger's queue is full: a tool tries again
                assert time.monotonic() < until
                time.sleep(0.2)

    with ThreadPoolExecutor(THREADS) as pool:
        fetching = [pool.submit(fetch, number) for number in range(THREADS)]
        for _ in range(ROTATIONS):
            phases.wait(PATIENCE_SECONDS)
            rotate_session(leaf, Actor(house.ben))
            house.work()
        phases.wait(PATIENCE_SECONDS)
        by_thread = [future.result() for future in fetching]
    fetched = [each for some in by_thread for each in some]
    for each in fetched:
        key = each.access_key_id
        assert each.secret_access_key.reveal().startswith(key)
        assert each.session_token.reveal().startswith(key)
    issued = [call["issued_access_key_id"] for call in scoped_calls(house)]
    assert len(issued) == 1 + ROTATIONS
    assert {each.access_key_id for each in fetched} <= set(issued)
    assert {some[-1].access_key_id for some in by_thread} == {issued[-1]}
