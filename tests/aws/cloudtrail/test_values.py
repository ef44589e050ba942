"""Single values are read from whatever stands in their place, and scrubbed."""

from datetime import UTC, datetime

import pytest

from sessions.aws.cloudtrail import structs, values


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2014-03-06T21:22:54Z", (2014, 3, 6, 21, 22, 54)),
        ("20131102T010628Z", (2013, 11, 2, 1, 6, 28)),
        ("2024-12-12 16:04:32.000000000", (2024, 12, 12, 16, 4, 32)),
        ("2022-02-08 09:23:37+11:00", (2022, 2, 7, 22, 23, 37)),
        ("2019-10-02T21:50:54.000Z", (2019, 10, 2, 21, 50, 54)),
        ("Oct 2, 2019, 11:12:29 PM", (2019, 10, 2, 23, 12, 29)),
        ("Oct 2, 2019 12:12:29 AM", (2019, 10, 2, 0, 12, 29)),
        ("Oct 2, 2019, 11:12:29\u202fPM", (2019, 10, 2, 23, 12, 29)),
        (1424476529.0, (2015, 2, 20, 23, 55, 29)),
        (1424476529000, (2015, 2, 20, 23, 55, 29)),
        ("1424476529", (2015, 2, 20, 23, 55, 29)),
    ],
)
def test_times_are_read_in_each_of_their_spellings(written, expected):
    assert values.moment(written) == datetime(*expected, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        *("...", "foo", "", None, {}, [], True, float("inf"), 10**300),
        *("Feb 30, 2024, 1:00:00 AM", "Oct 2, 2019, 11:12:99 PM"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_what_is_no_time_is_absent(written):
    assert values.moment(written) is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (" name ", "name"),
        ("null", ""),
        (None, ""),
        (123456789012, "123456789012"),
        (1.0, "1"),
        (True, "true"),
        (["only"], "only"),
        (["one", "two"], ""),
        ({"a": 1}, ""),
        (10**30, ""),
        (float("nan"), ""),
        ("a\x00b\ud800c", "a\ufffdb\ufffdc"),
        ("x" * 2049, ""),
    ],
)
def test_an_identifier_is_text_that_a_database_can_hold(written, expected):
    assert values.text(written) == expected


def test_a_message_is_cut_and_an_identifier_is_not():
    assert len(values.message("x" * 1_000_000)) == values.LONGEST_MESSAGE


@pytest.mark.parametrize(
    "written",
    [
        {"userName": "ada"},
        {"username": "ada"},
        {"user_name": "ada"},
        {"UserName": "ada"},
        '{"userName": "ada"}',
        "{username=ada}",
        [{"userName": "ada"}],
    ],
)
def test_a_mapping_has_the_names_of_cloudtrail(written):
    assert values.mapping(written)["userName"] == "ada"


def test_the_exact_spelling_of_a_name_wins():
    assert values.mapping({"username": "b", "userName": "a"})["userName"] == "a"


@pytest.mark.parametrize("written", ["", "null", "words", "{", "[1]", 7, None, ["a", "b"], "{a=b"])
def test_what_is_no_mapping_reads_as_an_empty_one(written):
    assert values.mapping(written) == {}


def test_a_copy_is_bounded_and_storable():
    deep = {}
    inner = deep
    for _ in range(500):
        inner["in"] = inner = {}
    copy = values.plain_mapping(
        {"n": float("nan"), "big": 10**30, "text": "a\x00", "many": list(range(5000)), "deep": deep}
    )
    assert copy["n"] is None
    assert copy["big"] is None
    assert copy["text"] == "a\ufffd"
    assert len(copy["many"]) == values.MOST_ITEMS
    assert str(copy["deep"]).count("in") < values.DEEPEST


def test_tags_are_read_as_list_mapping_and_text():
    expected = [("Team", "blue")]
    assert list(values.items([{"key": "Team", "value": "blue"}])) == expected
    assert list(values.items([{"Key": "Team", "Value": "blue"}])) == expected
    assert list(values.items({"Team": "blue"})) == expected
    assert list(values.items('{"Team": "blue"}')) == expected
    assert list(values.items("blue")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a=1, b={c=null, d=x y}}", {"a": "1", "b": {"c": None, "d": "x y"}}),
        ("{name=Smith, John, b=2}", {"name": "Smith, John", "b": "2"}),
        (
            "{arn=arn:aws:sts::1:assumed-role/R/a=b@c, b=}",
            {"arn": "arn:aws:sts::1:assumed-role/R/a=b@c", "b": ""},
        ),
        ("[{a=1}, {a=2}]", [{"a": "1"}, {"a": "2"}]),
        ("{a=[x, y], b=[]}", {"a": ["x", "y"], "b": []}),
        ("{}", {}),
        ("{a={}}", {"a": {}}),
        ("{policy={x}y, b=2}", None),
        ("{a", None),
        ("{a=1} more", None),
        ("{" * 5000, None),
        ("{a=" * 5000, None),
        ("word", None),
    ],
)
def test_structs_of_athena_are_split_by_their_nesting(text, expected):
    assert structs.parse(text) == expected
