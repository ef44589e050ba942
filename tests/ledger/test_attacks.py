"""Find whatever is done to a ledger behind the product's back, with its line.

The ledger has nine lines; checkpoints were signed of the third and of the seventh.
"""

import contextlib
import hashlib
import shutil
import sqlite3
import threading

import pytest
from django.db import connection

from sessions import ledger
from sessions.ledger import signing, triggers, verify
from sessions.ledger.checkpoints import Book
from sessions.ledger.verification import walk
from sessions.models import Checkpoint, Event
from tests.ledger.attacks import (
    BY_CHECKPOINTS,
    BY_THE_CHAIN,
    TEAM,
    forget_checkpoints,
    forget_the_team,
    hash_again,
    hash_again_from_a_line_on,
    lines,
    replace_head_and_events_together,
    verify_ledger,
    write,
)
from tests.ledger.checkpoint_keys import PUBLIC, pair


@pytest.mark.parametrize(("attack", "line"), BY_THE_CHAIN.items())
def test_the_chain_alone_finds(attack, line, attacked):
    attack()
    assert verify(TEAM).seq == line


@pytest.mark.parametrize(("attack", "line"), BY_CHECKPOINTS.items())
def test_a_checkpoint_finds_what_the_chain_cannot(attack, line, attacked):
    attack()
    assert verify(TEAM) is None
    assert verify_ledger().startswith(f"FAILED {TEAM}: line {line}: ")


@pytest.mark.parametrize(
    ("attack", "line"), [*BY_THE_CHAIN.items(), *BY_CHECKPOINTS.items(), (forget_the_team, 1)]
)
def test_a_copy_outside_finds_what_was_done_to_stored_checkpoints_too(attack, line, attacked):
    attack()
    forget_checkpoints()
    # A checkpoint may confirm fewer lines than the chain does, never more.
    said = verify_ledger("--checkpoints", attacked)
    assert said.startswith(f"FAILED {TEAM}: line {line}: ")


@pytest.mark.parametrize("attack", BY_CHECKPOINTS)
def test_a_worker_signs_no_ledger_that_does_not_hold(attack, attacked):
    attack()
    Event.objects.exists() and write(1)
    [fault] = signing.sign_moved_heads()
    assert fault.team_id == TEAM
    assert fault.seq <= 7
    assert Checkpoint.objects.count() == 2


def test_what_is_after_the_last_checkpoint_is_confirmed_by_the_next(attacked):
    assert "9 lines hold; signed up to line 7" in verify_ledger()
    signing.sign_and_send()
    assert "9 lines hold; signed up to line 9" in verify_ledger("--checkpoints", attacked)
    lines(seq=8).update(actor="eve")
    hash_again(8)
    assert verify_ledger().startswith(f"FAILED {TEAM}: line 8: it or a later line up to 9 was")


def test_a_stored_checkpoint_that_was_forged_is_told(attacked):
    lines(seq=5).update(actor="eve")
    hash_again(5)
    forged = Checkpoint.objects.order_by("pk").last()
    text = forged.text.replace(forged.head, lines(seq=7).get().hash)
    Checkpoint.objects.filter(pk=forged.pk).update(text=text)
    assert verify_ledger() == "FAILED the database, line 2: its signature does not hold."


def test_a_stored_checkpoint_that_was_taken_out_is_told(attacked):
    signing.sign_and_send()
    Checkpoint.objects.filter(seq=7).delete()
    assert f"FAILED {TEAM}: a checkpoint is missing before that of line 9." == verify_ledger()


def test_a_key_of_the_attackers_confirms_nothing(attacked, settings):
    settings.CHAINWEB_CHECKPOINT_KEY, other = pair("evil")
    replace_head_and_events_together()
    forget_checkpoints()
    signing.sign_moved_heads()
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = other
    assert "9 lines hold; signed up to line 9" in verify_ledger()
    assert "'evil', which is not given" in verify_ledger("--public-key", PUBLIC)


def test_without_a_public_key_checkpoints_are_not_claimed_to_hold(attacked, settings):
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = ""
    hash_again_from_a_line_on()
    assert "Checkpoints were not checked" in verify_ledger()
    assert "there is no public key" in verify_ledger("--checkpoints", attacked)


# --- SQLite's REPLACE ---

sqlite_only = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="only SQLite has INSERT OR REPLACE"
)
COLUMNS = "id, team_id, seq, at, kind, actor, session_id, session_alias, data, prev, hash"


@pytest.fixture
def foreign(signed):
    """Open the file past the product: without recursive triggers, REPLACE passes them all."""
    with contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"])) as opened:
        yield opened


@sqlite_only
def test_replace_through_a_foreign_connection_is_found_by_the_chain(foreign):
    foreign.execute(
        f"INSERT OR REPLACE INTO chains_event ({COLUMNS}) SELECT"
        f" {COLUMNS.replace('actor', repr('eve'))} FROM chains_event WHERE seq = 4"
    )
    foreign.commit()
    assert lines(seq=4).get().actor == "eve"
    assert verify(TEAM).seq == 4


@sqlite_only
@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("data", "[7]"), ("data", "7"), ("at", "yesterday")),
        *(("at", 7), ("actor", 7), ("actor", b"\xff"), ("prev", 7), ("hash", 7)),
    ],
)
def test_what_no_line_can_have_is_found_as_an_edit(column, value, foreign):
    foreign.execute("DROP TRIGGER ledger_no_update")
    foreign.execute(f"UPDATE chains_event SET {column} = ? WHERE seq = 4", (value,))
    foreign.commit()
    triggers.install(connection)
    assert verify(TEAM).seq == 4


@sqlite_only
def test_replace_of_lines_and_head_is_found_by_a_checkpoint(foreign):
    with_time = list(lines(seq__gte=5).order_by("seq"))
    prev = lines(seq=4).get().hash
    for line in with_time:
        line.prev, line.actor = prev, "eve"
        prev = hashlib.sha256(ledger.canonical(line)).hexdigest()
        foreign.execute(
            f"INSERT OR REPLACE INTO chains_event ({COLUMNS}) SELECT id, team_id, seq, at, kind,"
            " 'eve', session_id, session_alias, data, ?, ? FROM chains_event WHERE seq = ?",
            (line.prev, prev, line.seq),
        )
    foreign.execute("INSERT OR REPLACE INTO chains_ledgerhead VALUES (?, 9, ?)", (TEAM, prev))
    foreign.commit()
    assert verify(TEAM) is None
    assert verify_ledger().startswith(f"FAILED {TEAM}: line 4: it or a later line up to 7 was")


# --- honest runs ---


def test_writers_and_signers_at_once_raise_no_alarm(transactional_db, copy):
    write(1)
    problems = []
    stop = threading.Event()

    def run(step, times):
        try:
            for _ in range(times):
                step()
        except Exception as error:  # noqa: BLE001  (told by the assertion below)
            problems.append(error)
        finally:
            connection.close()

    def look():
        while not stop.is_set():
            book = Book(PUBLIC)
            book.add(Checkpoint.objects.values_list("text", flat=True), "the database")
            shutil.copy(copy, copy.with_suffix(".seen"))
            book.add(copy.with_suffix(".seen").read_text().splitlines(), "copy")
            _, fault = walk(TEAM, book.of_teams().get(TEAM))
            problems.extend(filter(None, [fault, *book.problems, *book.gaps()]))

    signing.sign_and_send()
    writers = [threading.Thread(target=run, args=(lambda: write(2), 8)) for _ in range(6)]
    signers = [threading.Thread(target=run, args=(signing.sign_and_send, 12)) for _ in range(3)]
    looker = threading.Thread(target=run, args=(look, 1))
    for thread in [looker, *writers, *signers]:
        thread.start()
    for thread in [*writers, *signers]:
        thread.join()
    stop.set()
    looker.join()
    signing.sign_and_send()
    assert problems == []
    assert "97 lines hold; signed up to line 97" in verify_ledger("--checkpoints", copy)
