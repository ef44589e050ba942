"""Texts of tokens: recognised by their form, refused by their checksum without the database."""

import re

import pytest

from sessions.models.token_text import (
    PATTERN,
    PERSON,
    ROBOT,
    from_header,
    is_well_formed,
    new_text,
)
from tests.api.tool import Api


@pytest.mark.parametrize("prefix", [PERSON, ROBOT])
def test_a_new_text_is_what_a_scanner_finds(prefix):
    text = new_text(prefix).reveal()
    assert re.fullmatch(PATTERN, text)
    assert is_well_formed(text)
    assert new_text(prefix).reveal() != text


def test_the_checksum_stays_the_one_that_scanners_know():
    assert is_well_formed("cwt_" + "0" * 43 + "391XAF")
    assert not is_well_formed("cwt_" + "0" * 43 + "391XAG")


def test_every_single_typing_error_is_found():
    text = new_text(PERSON).reveal()
    for place in range(4, len(text)):
        other = "x" if text[place] != "x" else "y"
        assert not is_well_formed(text[:place] + other + text[place + 1 :])
    assert not is_well_formed("cwr_" + text[4:])
    assert not is_well_formed(text[:-1])


def test_a_text_of_before_is_taken_as_it_is():
    assert is_well_formed("cwt_" + "aB3-_" * 8 + "abc")
    assert not is_well_formed("cwr_" + "aB3-_" * 8 + "abc")


@pytest.mark.parametrize("header", ["{}", "Bearer {}", "bearer  {}", "{} ", "Bearer {}\n"])
def test_a_header_may_say_bearer_and_end_in_blanks(header):
    text = new_text(PERSON).reveal()
    found = from_header(header.format(text))
    assert found is not None
    assert found.reveal() == text


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic abc", "Bearer a b", "Bearer " + "x" * 5000]
)
def test_what_cannot_be_a_token_is_none(header):
    assert from_header(header) is None


@pytest.mark.django_db
def test_a_wrong_checksum_asks_the_database_nothing(django_assert_num_queries):
    api, text = Api(None), new_text(PERSON).reveal()
    api.headers = {"Authorization": f"Bearer {text[:-1]}{'a' if text[-1] != 'a' else 'b'}"}
    with django_assert_num_queries(0):
        assert api("GET", "/sessions").status_code == 401
    api.headers = {"Authorization": f"Bearer {text}"}
    assert api("GET", "/sessions").status_code == 401
