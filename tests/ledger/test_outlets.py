"""Checkpoints reach a file and an address, or the failure is told."""

import os
import time

import pytest

from sessions.ledger import outlets
from sessions.ledger.outlets import NotTaken, append_to_file, post_lines


def test_lines_are_appended_to_a_file_that_others_cannot_read(tmp_path):
    path = tmp_path / "checkpoints.jsonl"
    append_to_file(path, ["one", "two"])
    append_to_file(path, ["thrée"])
    assert path.read_text() == "one\ntwo\nthrée\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off_keeps_to_itself(tmp_path):
    path = tmp_path / "checkpoints.jsonl"
    path.write_text('{"at":"20')
    append_to_file(path, ["one"])
    assert path.read_text() == '{"at":"20\none\n'


def test_lines_are_on_the_disk_when_it_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    append_to_file(tmp_path / "file", ["one"])
    assert synced == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        append_to_file(tmp_path / "missing" / "file", ["one"])


def test_lines_are_posted_as_they_were_signed(receiver):
    post_lines(f"{receiver.url}/in?token=t&status=200", ["one", "thrée"])
    [(path, headers, body)] = receiver.taken
    assert path == "/in?token=t&status=200"
    assert headers["Content-Type"] == "application/x-ndjson"
    assert body.decode() == "one\nthrée\n"


def test_a_redirect_is_not_followed(receiver):
    with pytest.raises(NotTaken, match="status 302"):
        post_lines(f"{receiver.url}/302", ["one"])
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_another_answer_than_success_is_an_error(status, receiver):
    with pytest.raises(NotTaken, match=f"status {status}"):
        post_lines(f"{receiver.url}/{status}", ["one"])


def test_a_certificate_that_nobody_vouches_for_is_an_error(receiver, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        post_lines(f"{receiver.url}/200", ["one"])
    assert receiver.taken == []


def test_an_address_that_does_not_answer_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(outlets, "TIMEOUT_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        post_lines(f"{receiver.url}/slow/200", ["one"])
    assert time.monotonic() - begun < 2.5


def test_an_answer_that_never_ends_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(outlets, "LONGEST_SECONDS", 0.5)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        post_lines(f"{receiver.url}/endless/200", ["one"])
    assert time.monotonic() - begun < 5
