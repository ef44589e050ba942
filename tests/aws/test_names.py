"""One validator per name; what it lets through, AWS, an INI file and a shell line can take."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessions.aws import names
from sessions.aws.names import InvalidName
from tests.examples import examples

ANY = st.text(max_size=90)
LEGAL = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
VALIDATORS = {
    names.validate_role_session_name: LEGAL,
    names.validate_source_identity: LEGAL,
    names.validate_external_id: re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}"),
    names.validate_profile: re.compile(r"(?!DEFAULT$)[A-Za-z0-9_\-/.%@:+]{1,128}"),
    names.validate_mfa_serial: re.compile(r"[A-Za-z0-9_+=,.@:/-]{9,256}"),
}


@pytest.mark.parametrize("validate", VALIDATORS)
@given(st.one_of(ANY, st.text("abc01_+=,.@:/%-", max_size=140)))
@example("DEFAULT")
def test_a_validator_lets_through_its_grammar_and_nothing_else(validate, text):
    if VALIDATORS[validate].fullmatch(text):
        assert validate(text) == text
    else:
        with pytest.raises(InvalidName) as refused:
            validate(text)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("validate", VALIDATORS)
@pytest.mark.parametrize(
    "text",
    [
        "abcdefghij\n",
        "abcdefghijé",
        "abcdefghij٣",
        "abc defghij",
        "abcdefghi]",
        "\x00bcdefghijk",
        "",
    ],
)
def test_a_newline_an_accent_a_foreign_digit_a_blank_a_bracket_are_refused(validate, text):
    with pytest.raises(InvalidName):
        validate(text)


def test_the_reason_names_the_character_and_its_place():
    with pytest.raises(
        InvalidName, match=r"character 4 is “é” \(U\+00E9, latin small letter e with acute\)"
    ):
        names.validate_role_session_name("andé")
    with pytest.raises(InvalidName, match=r"character 3 is a line break \(U\+000A\)"):
        names.validate_role_session_name("an\n")
    with pytest.raises(InvalidName, match="this one has 65"):
        names.validate_role_session_name("a" * 65)


@pytest.mark.parametrize(
    "profile", ["-a", "/a", ".a", "%a", "@a", ":a", "+a", "a" * 128, "default"]
)
def test_a_profile_may_begin_with_every_mark_of_the_sdks_set(profile):
    assert names.validate_profile(profile) == profile


@pytest.mark.parametrize("profile", ["a=b", "a,b", "a b", "a~b", "a" * 129, "DEFAULT", "a\n", "٣"])
def test_what_an_sdk_does_not_read_is_no_profile(profile):
    with pytest.raises(InvalidName):
        names.validate_profile(profile)


def test_a_source_identity_of_aws_itself_is_refused():
    with pytest.raises(InvalidName, match="aws:"):
        names.validate_source_identity("AWS:root")


def test_tags_have_their_limits():
    assert names.validate_tags([("team", ""), ("größe", "ein Wert")]) == (
        ("team", ""),
        ("größe", "ein Wert"),
    )
    for bad in (
        [("", "x")],
        [("a", "x" * 257)],
        [("a\n", "x")],
        [("aws:a", "x")],
        [("a", "1"), ("A", "2")],
    ):
        with pytest.raises(InvalidName):
            names.validate_tags(bad)
    with pytest.raises(InvalidName, match="50"):
        names.validate_tags([(f"k{n}", "") for n in range(51)])


def test_regions_are_known_by_partition():
    assert list(names.regions())[:3] == ["aws", "aws-cn", "aws-us-gov"]
    assert names.partition_of("eu-west-1") == "aws"
    assert names.partition_of("cn-north-1") == "aws-cn"
    assert names.validate_region("us-gov-east-1") == "us-gov-east-1"
    for bad in ("", "eu-west-99", "EU-WEST-1", "eu-west-1\n", "aws-global"):
        with pytest.raises(InvalidName, match="no AWS region"):
            names.validate_region(bad)


def test_changing_the_regions_that_were_given_changes_nothing():
    names.regions()["aws"].clear()
    assert "eu-west-1" in names.regions()["aws"]


@settings(max_examples=examples(500))
@given(ANY)
@example("\ud800")
@example("Иван")
def test_any_name_of_a_person_gives_a_legal_handle_and_always_the_same(text):
    handle = names.aws_name_from(text)
    assert names.validate_role_session_name(handle) == handle
    assert len(handle) <= 32
    assert handle == names.aws_name_from(text)


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("ada", "ada"),
        ("Ada Lovelace", "Ada-Lovelace"),
        ("José Peña", "Jose-Pena"),
        ("Søren Łukasz Weiß", "Soren-Lukasz-Weiss"),
        ("ada@example.org", "ada@example.org"),
    ],
)
def test_a_handle_stays_readable(text, handle):
    assert names.aws_name_from(text) == handle


@given(
    st.lists(
        st.text(st.characters(categories=["Lo"]), min_size=1, max_size=40), unique=True, max_size=30
    )
)
def test_names_of_other_scripts_do_not_collide(people):
    decomposed = {names.unicodedata.normalize("NFKD", person): person for person in people}
    assert len({names.aws_name_from(person) for person in decomposed.values()}) == len(decomposed)
