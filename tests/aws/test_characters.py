"""Strip invisible characters at the ends, and name them inside."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.aws import characters
from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.names import InvalidName
from sessions.aws.roots.iam_user import validate_access_key_id, validate_secret_access_key

UNSEEN = {
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a carriage return",
    "\x00": "a NUL",
    "\x07": "a control character (U+0007)",
    "\u00a0": "a no-break space",
    "\u200b": "a zero width space",
    "\u200d": "a zero width joiner",
    "\u202e": "a right-to-left override",
    "\ufeff": "a byte order mark",
    "\ud800": "half a surrogate pair",
    "\ue000": "a control character (U+E000)",
}


@pytest.mark.parametrize(
    ("character", "name"), UNSEEN.items(), ids=[f"{ord(c):04x}" for c in UNSEEN]
)
def test_an_unseen_character_is_named_with_its_place(character, name):
    assert characters.unseen_in(f"abc{character}d") == f"{name} at position 4"


@pytest.mark.parametrize(
    "around", ["\t", "\r\n", " \n ", "\u00a0", "\ufeff", "\u200b\u2060", "\u2003", "\u200e"]
)
def test_what_was_pasted_around_a_text_goes(around):
    assert characters.trimmed(f"{around}a b{around}") == "a b"
    assert characters.trimmed(around) == ""


@pytest.mark.parametrize("text", ["\x00a", "a\x1b[2J", "a\x7f"])
def test_a_control_character_at_an_end_is_no_pasted_blank(text):
    assert characters.trimmed(text) == text
    with pytest.raises(ValueError, match="It contains"):
        characters.refuse_unseen(text)


@pytest.mark.parametrize("text", ["Zürich", "東京　本番", "a b", "👩🏽", "ne\u0301e", "שלום"])
def test_what_can_be_seen_is_left_alone(text):
    assert characters.refuse_unseen(characters.trimmed(text)) == text


@given(st.text(max_size=40))
def test_every_text_has_a_message_that_can_be_shown(text):
    found = characters.unseen_in(characters.trimmed(text))
    assert found.isprintable()
    if not found:
        assert not any(
            unicodedata.category(each).startswith("C") for each in characters.trimmed(text)
        )
    assert characters.shown(text).isprintable()


@pytest.mark.parametrize("quote", ["“", "’", "–"])
def test_a_typographic_quote_or_dash_is_named_by_what_takes_ascii_alone(quote):
    with pytest.raises(InvalidArn, match=f"character 14 is “{quote}”"):
        RoleArn.parse(f"arn:aws:iam::{quote}111122223333:role/X")
    with pytest.raises(InvalidName, match=f"character 5 is “{quote}”"):
        validate_access_key_id(f"AKIA{quote}OSFODNN7EXAMPLE")


def test_a_secret_is_told_the_place_and_nothing_of_itself():
    with pytest.raises(InvalidName) as refused:
        validate_secret_access_key("wJalrXUtnFEMI“K7MDENG/bPxRfiCYEXAMPLEKEY")
    assert "character 14" in str(refused.value)
    assert "wJal" not in str(refused.value)
    assert "“" not in str(refused.value)
