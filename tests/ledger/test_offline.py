"""Verify exports without their database."""

import json
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import call_command

from sessions.ledger import offline
from sessions.ledger.checkpoints import Book
from sessions.ledger.export import export_lines
from tests.ledger.attacks import (
    BY_CHECKPOINTS,
    BY_THE_CHAIN,
    TEAM,
    add_behind_the_head,
    cut_the_tail,
    forget_checkpoints,
    hash_again_from_a_line_on,
    lines,
    replace_head_and_events_together,
    truncate,
)
from tests.ledger.checkpoint_keys import PUBLIC, pair


def exported(part=None):
    return list(export_lines(TEAM, part if part is not None else lines()))


def of_export(rows, book=None, **options):
    return offline.verify_export(rows, book or Book(PUBLIC), **options)


def test_an_untouched_export_holds(signed):
    report, fault = of_export(exported())
    assert fault is None
    assert (report.count, report.walk.seq, report.walk.signed_seq) == (9, 9, 7)
    assert not report.problems


def test_an_export_that_another_program_wrote_anew_holds(signed):
    rows = [json.dumps(dict(reversed(json.loads(row).items()))).encode() for row in exported()]
    events = [row for row in rows if b'"signature"' not in row]
    report, fault = of_export(events, Book(""))
    assert (report.count, fault) == (9, None)


@pytest.mark.parametrize(
    ("attack", "line"),
    [(attack, line) for attack, line in BY_THE_CHAIN.items() if attack is not truncate],
)
def test_an_export_shows_what_was_done_before_it(attack, line, attacked):
    copies = Book(PUBLIC)
    copies.add(attacked.read_text().splitlines(), "copy")
    attack()
    _, fault = of_export(exported(), copies)
    if attack in (cut_the_tail, add_behind_the_head):  # the head alone would tell
        assert fault is None
    else:
        assert fault.seq == line


@pytest.mark.parametrize(("attack", "line"), BY_CHECKPOINTS.items())
def test_an_export_is_held_against_copies_from_outside(attack, line, attacked):
    copies = Book(PUBLIC)
    copies.add(attacked.read_text().splitlines(), "copy")
    attack()
    forget_checkpoints()
    assert of_export(exported(), copies)[1].seq == line


@pytest.mark.parametrize("attack", [hash_again_from_a_line_on, replace_head_and_events_together])
def test_a_checkpoint_in_an_export_finds_what_the_chain_cannot(attack, attacked):
    attack()
    assert of_export(exported())[1].seq == BY_CHECKPOINTS[attack]


ROWS = {
    "a row edited": (lambda rows: [*rows[:1], rows[1].replace(b"ada", b"eve"), *rows[2:]], 2),
    "a row taken out": (lambda rows: [*rows[:1], *rows[2:]], 2),
    "two rows swapped": (lambda rows: [rows[1], rows[0], *rows[2:]], 1),
    "a row twice": (lambda rows: [rows[0], *rows], 2),
    "the first rows cut off": (lambda rows: rows[1:], 1),
    "another team's row": (
        lambda rows: [rows[0], rows[1].replace(TEAM.encode(), b"x" * 36), *rows[2:]],
        2,
    ),
}


@pytest.mark.parametrize("change", ROWS)
def test_an_export_shows_what_was_done_to_it(change, signed):
    edit_rows, line = ROWS[change]
    assert of_export(edit_rows(exported()))[1].seq == line


def test_copies_tell_that_the_end_of_an_export_is_cut_off(signed):
    copies = Book(PUBLIC)
    copies.add(signed.read_text().splitlines(), "copy")
    rows = exported(lines(seq__lte=5))
    assert of_export(rows, copies)[1].seq == 6
    assert of_export(rows, copies, part=True)[1] is None


def test_a_part_may_leave_lines_out_and_shows_edits_all_the_same(signed):
    rows = exported(lines(seq__in=[2, 3, 5, 7, 8]))
    assert of_export(rows)[1].seq == 1
    report, fault = of_export(rows, part=True)
    assert (report.first, report.count, report.gaps, fault) == (2, 5, 2, None)
    rows[0] = rows[0].replace(b"ada", b"eve")
    assert of_export(rows, part=True)[1].seq == 2


@pytest.mark.parametrize(
    "row",
    [
        *(b"", b"{", b"null", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"seq":1}'),
        b'{"seq":true,"hash":"","prev":"","team_id":""}',
        b'{"seq":1,"hash":"\\ud800","prev":"\\ud800","team_id":""}',
        b'{"seq":' + b"9" * 5000 + b"}",
    ],
)
def test_a_row_that_cannot_be_read_is_named(row, signed):
    rows = exported()
    with pytest.raises(offline.Unreadable, match=r"^row 2 "):
        of_export([rows[0], row, *rows[1:]])


def test_the_command_verifies_an_export_without_a_database(signed, tmp_path):
    call_command("export_ledger", team=TEAM, output=tmp_path / "export.jsonl")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environ = {"PATH": "/usr/bin:/bin", "CHAINWEB_DATA": str(elsewhere)}
    command = [sys.executable, "manage.py", "verify_ledger", "--export", tmp_path / "export.jsonl"]

    def run(*more):
        done = subprocess.run(
            [*command, *more],
            cwd=settings.BASE_DIR,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = run("--public-key", PUBLIC, "--checkpoints", signed)
    assert (code, f"{TEAM}: 9 lines hold, from 1 to 9; signed up to line 7 on" in said) == (0, True)
    assert run()[1].endswith("there is no public key. Give it with --public-key.\n")
    code, said = run("--public-key", pair("c1")[1])
    assert (code, "its signature does not hold" in said) == (1, True)
    assert list(elsewhere.iterdir()) == []
