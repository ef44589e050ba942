"""So many requests are worked on at once; who waits for a lock stands aside."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sessions.db.turns import Turns


def test_no_more_than_so_many_work_at_once():
    turns, most, lock = Turns(3), [], threading.Lock()

    def work(_):
        with turns.taken():
            with lock:
                most.append(turns.running)
            time.sleep(0.01)

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(work, range(30)))
    assert max(most) <= 3
    assert turns.running == 0


def test_who_stands_aside_keeps_nobody_from_working():
    turns, free = Turns(2), threading.Event()

    def wait(_):
        with turns.taken(), turns.aside():
            return free.wait(30)

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(wait, None) for _ in range(6)]
        for _ in range(5):
            with turns.taken():
                pass
        # Whoever comes back works on at once: the others may wait for what it holds.
        with turns.taken(), turns.taken():
            free.set()
            assert all(each.result(30) for each in waiting)
    assert turns.running == 0


def test_a_thread_without_a_turn_gives_none_away():
    turns = Turns(1)
    with turns.aside():
        assert turns.running == 0
    assert turns.running == 0
