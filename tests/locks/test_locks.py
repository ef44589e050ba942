"""Starts, stops and commits take rows in different orders: the team's lock avoids deadlocks."""

import threading

from django.db import connection

from sessions.activations.start_stop import start_sessions, stop_sessions
from sessions.actors import Actor
from sessions.engine import rotation


def test_starts_and_stops_beside_commits_meet_no_deadlock(lasting_house):
    house = lasting_house
    middle = house.chained("Middle")
    leaves = [house.chained(f"Leaf {number}", middle) for number in range(6)]
    done = threading.Event()
    failures = []

    def keep_going(work):
        try:
            while not done.is_set():
                work()
        except Exception as error:  # noqa: BLE001
            failures.append(error)
            done.set()
        finally:
            connection.close()

    workers = [
        threading.Thread(
            target=keep_going, args=[lambda asked=asked: rotation.run(asked_only=asked)]
        )
        for asked in (False, True)
    ]
    for worker in workers:
        worker.start()
    try:
        for turn in range(12):
            start_sessions(leaves[turn % 3 :], Actor(house.ben))
            start_sessions(leaves[::-1], Actor(house.bea))
            stop_sessions(leaves, Actor(house.ben))
            stop_sessions(leaves[turn % 2 :], Actor(house.bea))
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert failures == []
