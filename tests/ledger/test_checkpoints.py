"""A checkpoint is signed, and says so when it is not what was signed."""

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sessions.ledger import checkpoints
from sessions.ledger.checkpoints import Book, read, sign
from sessions.ledger.signed_lines import CheckpointError
from tests.ledger.checkpoint_keys import PRIVATE, PUBLIC, pair

TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"
AT = datetime(2026, 11, 27, 12, 5, 0, 7, tzinfo=UTC)


def made(seq=980, *, head="ab" * 32, previous="", private=PRIVATE, at=AT):
    return sign(private, team_id=TEAM, seq=seq, head=head, at=at, previous=previous)


def test_a_checkpoint_is_one_line_of_json_with_its_signature_behind_it():
    text = made().text
    content, signature = text.split(',"signature":')
    assert content == (
        '{"at":"2026-11-27T12:05:00.000007+00:00","format":"chainweb-checkpoint-1","head":"'
        + "ab" * 32
        + f'","key":"c1","previous":"","seq":980,"team_id":"{TEAM}"'
    )
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(PRIVATE.split(":")[1]))
    assert base64.b64decode(json.loads(signature[:-1])) == key.sign(f"{content}}}".encode())


def test_what_was_signed_is_read_back():
    assert read(made().text, PUBLIC) == made()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seq":980', '"seq":981'),
        ("abab", "abac"),
        ("12:05", "12:04"),
        ('"previous":""', '"previous":"00"'),
        (TEAM, TEAM.replace("0b", "0c")),
        ('{"at"', '{ "at"'),
        ('"signature":"', '"signature":"A'),
    ],
)
def test_a_checkpoint_that_was_changed_does_not_hold(old, new):
    with pytest.raises(CheckpointError, match="signature does not hold"):
        read(made().text.replace(old, new, 1), PUBLIC)


def test_a_checkpoint_of_another_key_does_not_hold():
    with pytest.raises(CheckpointError, match="signature does not hold"):
        read(made(private=pair()[0]).text, PUBLIC)
    with pytest.raises(CheckpointError, match="'c2', which is not given"):
        read(made(private=pair("c2")[0]).text, PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[]", "7", '"x"', "{}", "[" * 100_000, '{"seq":' + "9" * 5000),
        '{"format":"chainweb-checkpoint-1"}',
        made().text.replace("980", "null"),
        made().text.replace("980", "true"),
        made().text.replace("980", "-1"),
        made().text.replace("980", '"980"'),
        made().text.replace("2026", "x"),
        made().text.replace("+00:00", "+99:00"),
        made().text.replace(f'"{TEAM}"', "7"),
        made().text.replace("checkpoint-1", "checkpoint-2"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(CheckpointError):
        read(text, PUBLIC)


def test_a_new_key_signs_and_old_checkpoints_still_hold():
    newer, newer_public = pair("c2")
    old, new = made(), made(private=f"{newer},{PRIVATE}")
    assert (old.key_id, new.key_id) == ("c1", "c2")
    for each in (old, new):
        assert read(each.text, f"{newer_public},{PUBLIC}") == each


def test_keys_that_do_not_belong_together_are_told():
    assert checkpoints.key_problem(PRIVATE, PUBLIC) == ""
    assert checkpoints.key_problem("", "") == checkpoints.key_problem("", PUBLIC) == ""
    for public in ("", pair()[1], pair("c2")[1]):
        assert "has not the public half" in checkpoints.key_problem(PRIVATE, public)


def series(count):
    found, previous = [], ""
    for number in range(1, count + 1):
        found.append(made(number * 10, previous=previous, at=AT.replace(hour=number)))
        previous = found[-1].digest
    return found


def test_copies_may_be_repeated_disordered_and_cut_off():
    texts = [each.text for each in series(4)]
    book = Book(PUBLIC)
    book.add([texts[2], texts[1], texts[2] + "\n", "", texts[3][:40], texts[3]], "copy")
    book.add([texts[1]], "the database")
    assert (book.problems, book.gaps(), book.unread) == ([], [], 1)
    assert list(book.of_teams()) == [TEAM]
    assert sorted(book.of_teams()[TEAM]) == [20, 30, 40]


def test_a_copy_from_which_a_checkpoint_was_taken_is_named():
    one, _, three, four = series(4)
    book = Book(PUBLIC)
    book.add([one.text, three.text, four.text], "copy")
    assert book.gaps() == [(TEAM, 30)]


def test_a_copy_that_was_changed_is_named_by_its_line():
    book = Book(PUBLIC)
    book.add([made().text, made(990).text.replace("990", "991")], "copy.jsonl")
    assert book.problems == ["copy.jsonl, line 2: its signature does not hold."]
