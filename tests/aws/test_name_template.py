"""A role session name's template is parsed once; what it renders AWS takes, and is one's own."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessions.aws.name_template import NameTemplate, validate_name_template
from sessions.aws.names import InvalidName
from tests.examples import examples

ANY = st.text(max_size=90)
LEGAL = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")


def test_a_template_with_username_names_a_person():
    assert NameTemplate("ci.{username}").names_a_person
    assert not NameTemplate("{alias}-{team}").names_a_person
    assert not NameTemplate("username").names_a_person


@pytest.mark.parametrize(
    "template", ["{username}", "{alias}-{team}", "ci_{team}", "fixed", "{username}{username}"]
)
def test_a_template_of_known_placeholders_is_taken(template):
    assert validate_name_template(template) == template


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{user}", "no “{user}”"),
        ("{}", "no “{}”"),
        ("{username", "has no partner"),
        ("username}", "has no partner"),
        ("{{username}}", "has no partner"),
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
        validate_name_template(template)


NAMES = st.text("abcXYZ019_+=,.@-", max_size=40)
TEMPLATES = st.lists(
    st.one_of(st.sampled_from(["{username}", "{alias}", "{team}"]), NAMES), min_size=1, max_size=8
).map("".join)
# What people are really called in CloudTrail: `aws_name`.
HANDLES = st.text("abAB01_+=,.@-", min_size=2, max_size=32)


def is_a_template(text):
    try:
        validate_name_template(text)
    except InvalidName:
        return False
    return True


@settings(max_examples=examples(1000))
@given(TEMPLATES.filter(is_a_template), ANY, ANY, ANY)
@example("{alias}", "", "", "")
@example("{alias}", "", "x", "")
@example("{username}" * 8, "x" * 90, "", "")
def test_no_template_and_no_person_ever_render_an_illegal_name(template, username, alias, team):
    values = {"username": username, "alias": alias, "team": team}
    assert LEGAL.fullmatch(NameTemplate(template).render(values))


@settings(max_examples=examples(1000))
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
        each: NameTemplate(template).render({"username": each, "alias": alias, "team": team})
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
    name = NameTemplate(template).render({"username": username, "alias": alias, "team": "platform"})
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
    name = NameTemplate("{alias}").render({"alias": alias, "team": "no"})
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
    assert NameTemplate(template).render({"alias": alias, "username": "ada"}) == name


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


@settings(max_examples=examples(1500))
@given(ALIAS_TEMPLATES, st.lists(ALIASES, unique=True, min_size=2, max_size=8), HANDLES)
@example("{alias}", ["a b", "a-b", "a  b", "a/b", "ä b", "a b"], "ada")
@example("{alias}", ["é", "e\u0301", "e", "É"], "ada")
def test_different_aliases_never_have_the_same_name(template, aliases, username):
    def name(alias):
        return NameTemplate(template).render(
            {"alias": alias, "username": username, "team": "platform"}
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
        NameTemplate("{alias}").render({"alias": f"{chr(0x4E00 + a)}{chr(0x4E00 + b)}"})
        for a in range(250)
        for b in range(200)
    }
    assert len(made) == 50_000


def test_long_names_with_the_same_beginning_stay_two_names():
    first, second = (
        NameTemplate("{alias}").render({"alias": "x" * 100 + end}) for end in ("one", "two")
    )
    assert first != second
    assert len(first) == len(second) == 64
    assert re.fullmatch(r"x{55}-[0-9a-f]{8}", first)


def test_a_placeholder_without_a_value_is_refused():
    with pytest.raises(InvalidName, match=r"Nothing is known for \{team\}"):
        NameTemplate("{team}").render({})


@pytest.mark.parametrize("template", ["{user}", "{}", "{username", "x{username}}", "é", "x"])
def test_a_template_of_before_the_rules_is_held_but_never_rendered(template):
    values = {"username": "ada", "alias": "prod", "team": "demo", "user": "ada"}
    held = NameTemplate(template)
    assert str(held) == template
    with pytest.raises(InvalidName):
        held.render(values)
    with pytest.raises(InvalidName):
        held.fill("prod", "demo")


def test_filling_in_leaves_the_person_for_later():
    filled = NameTemplate("{team}.{alias}-{username}").fill("Zürich", "demo")
    assert filled.text.startswith("demo.Zurich+")
    assert filled.with_handle("ada") == NameTemplate("{team}.{alias}-{username}").render(
        {"team": "demo", "alias": "Zürich", "username": "ada"}
    )
    assert NameTemplate("{alias}").fill("x", "demo").text == "x-1756b476", "nobody: rendered"


@pytest.mark.parametrize(
    ("filled", "name", "handle"),
    [
        ("{username}", "Ada", "Ada"),
        ("x-{username}", "X-ada", "ada"),
        ("{username}.{username}", "ada.ada", "ada"),
        ("{username}.{username}", "ada.bob", ""),
        ("x-{username}", "x-", ""),
        ("x-{username}", "y-ada", ""),
        ("fixed", "fixed", ""),
    ],
)
def test_a_filled_template_tells_whose_name_that_is(filled, name, handle):
    assert NameTemplate(filled).matches(name) == handle


@given(ALIAS_TEMPLATES, ALIASES, HANDLES)
def test_a_name_that_a_filled_template_makes_matches_its_person(template, alias, handle):
    filled = NameTemplate(template).fill(alias, "demo")
    if filled.names_a_person:
        assert filled.matches(filled.with_handle(handle)) == handle
