"""A sealed value opens at its own place only."""

import dataclasses
import json
import logging
import pickle
import traceback

import pytest

from sessions import sealing
from sessions.sealing import SealContext, SealingError
from sessions.secret import Secret
from tests.harness.keys import seal_key

HERE = SealContext("chains_credential", "sealed", "row", "team", 1)
ELSEWHERE = [
    dataclasses.replace(HERE, **change)
    for change in (
        {"table": "chains_probe"},
        {"column": "other"},
        {"row": "row2"},
        {"team": "team2"},
        {"generation": 2},
        {"row": "rowt", "team": "eam"},  # the same letters, cut elsewhere
    )
]


def test_what_was_sealed_opens_again_at_its_place():
    assert sealing.open_sealed(sealing.seal(Secret("s3cret"), HERE), HERE).reveal() == "s3cret"


def test_what_was_sealed_to_the_workers_opens_in_a_worker():
    assert (
        sealing.open_as_worker(sealing.seal_to_workers(Secret("s3cret"), HERE), HERE).reveal()
        == "s3cret"
    )


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_sealed_value_moved_elsewhere_does_not_open(place):
    with pytest.raises(SealingError):
        sealing.open_sealed(sealing.seal(Secret("x"), HERE), place)
    with pytest.raises(SealingError):
        sealing.open_as_worker(sealing.seal_to_workers(Secret("x"), HERE), place)


def test_a_changed_byte_anywhere_is_noticed():
    for seal, unlock in (
        (sealing.seal, sealing.open_sealed),
        (sealing.seal_to_workers, sealing.open_as_worker),
    ):
        sealed = seal(Secret("x"), HERE)
        for position in range(len(sealed)):
            changed = bytearray(sealed)
            changed[position] ^= 1
            with pytest.raises(SealingError):
                unlock(bytes(changed), HERE)


def test_the_web_process_cannot_open_what_is_sealed_to_the_workers(settings):
    sealed = sealing.seal_to_workers(Secret("x"), HERE)
    settings.CHAINWEB_ROOT_KEYS = ""
    with pytest.raises(SealingError, match="only workers"):
        sealing.open_as_worker(sealed, HERE)
    with pytest.raises(SealingError):
        sealing.open_sealed(sealed, HERE)


def test_an_older_key_still_opens_and_the_newest_one_seals(settings):
    sealed = sealing.seal(Secret("x"), HERE)
    settings.CHAINWEB_SEAL_KEYS = f"{seal_key('k2')},{settings.CHAINWEB_SEAL_KEYS}"
    assert sealing.open_sealed(sealed, HERE).reveal() == "x"
    assert sealing.key_id_of(sealing.seal(Secret("x"), HERE)) == "k2"


def test_a_wrong_key_of_the_same_id_does_not_open(settings):
    sealed = sealing.seal(Secret("x"), HERE)
    settings.CHAINWEB_SEAL_KEYS = seal_key("k1")
    with pytest.raises(SealingError):
        sealing.open_sealed(sealed, HERE)


@pytest.mark.parametrize(
    "text",
    ["k1", "k1:", ":AAAA", "k1:AAAA", "k 1:" + "A" * 44, "k1:!!!!", seal_key("a" * 17), "é1:AAAA"],
)
def test_a_malformed_key_setting_is_refused(text):
    with pytest.raises(SealingError):
        sealing.parse_keys(text, "CHAINWEB_SEAL_KEYS")


def test_two_keys_of_one_id_are_refused():
    with pytest.raises(SealingError, match="twice"):
        sealing.parse_keys(f"{seal_key('k1')},{seal_key('k1')}", "CHAINWEB_SEAL_KEYS")


def test_a_secret_does_not_show_itself(caplog):
    secret = Secret("wJalrXUtnFEMI/K7MDENG")
    assert "wJalr" not in f"{secret} {secret!r} {[secret]} {secret:>10}"
    logging.getLogger("x").warning("%s %r", secret, {"key": secret})
    assert "wJalr" not in caplog.text
    try:
        raise ValueError(secret)
    except ValueError:
        assert "wJalr" not in traceback.format_exc()
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)
