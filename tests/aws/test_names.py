"""One validator per name; what it lets through, AWS, an INI file and a shell line can take."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessions.aws import names
from sessions.aws.names import InvalidName

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


def test_a_template_with_username_names_a_person():
    assert names.names_a_person("ci.{username}")
    assert not names.names_a_person("{alias}-{team}")
    assert not names.names_a_person("username")


@pytest.mark.parametrize(
    "template", ["{username}", "{alias}-{team}", "ci_{team}", "fixed", "{username}{username}"]
)
def test_a_template_of_known_placeholders_is_taken(template):
    assert names.validate_role_session_name_template(template) == template


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{user}", "no “{user}”"),
        ("{}", "no “{}”"),
        ("{username", "stands alone"),
        ("username}", "stands alone"),
        ("{{username}}", "stands alone"),
        ("{username.__class__}", "no “{username.__class__}”"),
        ("{username!r}", "no “{username!r}”"),
        ("{username}\n", "U\\+000A"),
        ("{username} x", "U\\+0020"),
        ("é{username}", "é"),
        ("", "2 to 64"),
        ("x", "2 to 64"),
        ("x" * 65, "has 65"),
    ],
)
def test_a_template_that_cannot_become_a_name_is_refused(template, reason):
    with pytest.raises(InvalidName, match=reason):
        names.validate_role_session_name_template(template)


NAMES = st.text("abcXYZ019_+=,.@-", max_size=40)
TEMPLATES = st.lists(
    st.one_of(st.sampled_from(["{username}", "{alias}", "{team}"]), NAMES), min_size=1, max_size=8
).map("".join)
# What people are really called in CloudTrail: `aws_name`.
HANDLES = st.text("abAB01_+=,.@-", min_size=2, max_size=32)


def is_a_template(text):
    try:
        names.validate_role_session_name_template(text)
    except InvalidName:
        return False
    return True


@settings(max_examples=1000)
@given(TEMPLATES.filter(is_a_template), ANY, ANY, ANY)
@example("{alias}", "", "", "")
@example("{alias}", "", "x", "")
@example("{username}" * 8, "x" * 90, "", "")
def test_no_template_and_no_person_ever_render_an_illegal_name(template, username, alias, team):
    values = {"username": username, "alias": alias, "team": team}
    assert LEGAL.fullmatch(names.render_role_session_name(template, values))


@settings(max_examples=1000)
@given(
    TEMPLATES.map("{{username}}{}".format).filter(is_a_template),
    st.lists(HANDLES, unique_by=str.lower, min_size=2, max_size=12),
    ANY,
    ANY,
)
@example("{alias}{username}", ["ab", "abab"], "x" * 62, "")
@example("{username}{username}", ["ab", "abab"], "", "")
def test_distinct_people_never_have_the_same_name(template, people, alias, team):
    rendered = {
        each: names.render_role_session_name(
            template, {"username": each, "alias": alias, "team": team}
        )
        for each in people
    }
    assert len(set(rendered.values())) == len(people)
    assert all(each in name for each, name in rendered.items())


@given(
    st.sampled_from(["{alias}-{username}", "{team}.{alias}.{username}", "{username}{alias}{team}"]),
    HANDLES,
    st.text("abc", min_size=70, max_size=90),
)
def test_what_is_too_long_is_shortened_but_not_the_person(template, username, alias):
    name = names.render_role_session_name(
        template, {"username": username, "alias": alias, "team": "platform"}
    )
    assert len(name) == 64
    assert username in name


@pytest.mark.parametrize(
    ("alias", "readable"),
    [
        ("Zürich", "Zurich"),
        ("Straße Øst", "Strasse-Ost"),
        ("Prod shell", "Prod-shell"),
        ("a/b", "a-b"),
        ("{team}", "team"),
        ("東京", "session"),
        ("🚀", "session"),
        ("🚀 rocket", "rocket"),
        ("שלום prod", "prod"),
        ("ﬁne", "fine"),
    ],
)
def test_an_alias_that_is_not_legal_is_spelt_out_and_marked(alias, readable):
    name = names.render_role_session_name("{alias}", {"alias": alias, "team": "no"})
    assert re.fullmatch(rf"{readable}\+[0-9a-f]{{12}}", name)


@pytest.mark.parametrize(
    ("template", "alias", "name"),
    [
        ("{alias}", "prod", "prod"),
        ("{alias}", "prod-20240115", "prod-20240115"),
        ("{alias}", "prod-111122223333", "prod-111122223333"),
        ("{username}-{alias}", "A_b+c=d,e.f@g-h", "ada-A_b+c=d,e.f@g-h"),
        ("{alias}", "x", "x-1756b476"),
        ("{username}", "東京", "ada"),
        ("{alias}{username}", "x" * 64, "x" * 52 + "ada-69c4e904"),
    ],
)
def test_the_name_of_a_legal_alias_stays_what_it_was(template, alias, name):
    assert names.render_role_session_name(template, {"alias": alias, "username": "ada"}) == name


# What people type, what they paste, what looks alike, and what has the form of a name that was made
# by us.
ALIASES = st.one_of(
    st.text(min_size=1, max_size=64),
    st.text("ab -_.+/é", min_size=1, max_size=12),
    st.text("aA-", min_size=50, max_size=64),
    st.text(st.characters(categories=["Mn", "Lo", "So"]), min_size=1, max_size=20),
    st.from_regex(r"[a-z]{0,2}[-+][0-9a-f]{8}", fullmatch=True),
    st.from_regex(r"[a-z]{0,2}\+[0-9a-f]{12}", fullmatch=True),
)
ALIAS_TEMPLATES = st.one_of(
    st.sampled_from(
        ["{alias}", "{username}-{alias}", "{team}.{alias}.{username}", "x{alias}", "{alias}a"]
    ),
    TEMPLATES.map("{}{{alias}}".format).filter(is_a_template),
)


@settings(max_examples=1500)
@given(ALIAS_TEMPLATES, st.lists(ALIASES, unique=True, min_size=2, max_size=8), HANDLES)
@example("{alias}", ["a b", "a-b", "a  b", "a/b", "ä b", "a b"], "ada")
@example("{alias}", ["é", "e\u0301", "e", "É"], "ada")
def test_different_aliases_never_have_the_same_name(template, aliases, username):
    def name(alias):
        return names.render_role_session_name(
            template, {"alias": alias, "username": username, "team": "platform"}
        )

    # Whoever sees a name may type it as an alias: without what the template puts around it, and
    # again what that becomes.
    prefix, _, suffix = template.partition("{alias}")
    typed = dict.fromkeys(aliases)
    for _ in range(2):
        for made in map(name, list(typed)):
            typed[made] = None
            if "{" not in prefix + suffix and made.startswith(prefix) and made.endswith(suffix):
                typed[made[len(prefix) : len(made) - len(suffix)] or "-"] = None
    made = {alias: name(alias) for alias in typed}
    assert len(set(made.values())) == len(made)
    assert all(LEGAL.fullmatch(each) for each in made.values())


def test_fifty_thousand_aliases_of_another_script_stay_apart():
    made = {
        names.render_role_session_name("{alias}", {"alias": f"{chr(0x4E00 + a)}{chr(0x4E00 + b)}"})
        for a in range(250)
        for b in range(200)
    }
    assert len(made) == 50_000


def test_long_names_with_the_same_beginning_stay_two_names():
    first, second = (
        names.render_role_session_name("{alias}", {"alias": "x" * 100 + end})
        for end in ("one", "two")
    )
    assert first != second
    assert len(first) == len(second) == 64
    assert re.fullmatch(r"x{55}-[0-9a-f]{8}", first)


def test_a_placeholder_without_a_value_is_refused():
    with pytest.raises(InvalidName, match=r"Nothing is known for \{team\}"):
        names.render_role_session_name("{team}", {})


@settings(max_examples=500)
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
