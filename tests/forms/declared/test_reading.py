"""Read a file as data, with lines, and nothing that YAML could do beyond that."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.forms.declared.reading import LARGEST_BYTES, Faulty, read


def fault(text):
    with pytest.raises(Faulty) as caught:
        read(text if isinstance(text, bytes) else text.encode())
    return caught.value.faults[0]


def test_every_part_has_its_line():
    document = read(b"# a file\nsessions:\n  - alias: a\n    labels:\n      - x\n\n  - alias: b\n")
    assert document.content == {"sessions": [{"alias": "a", "labels": ["x"]}, {"alias": "b"}]}
    assert document.lines[("sessions", 0, "labels")] == 4
    assert document.lines[("sessions", 1, "alias")] == 7
    assert document.fault(("sessions", 1, "region"), "No.").line == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("2026-11-27", "2026-11-27"),
        ("012345678901", "012345678901"),
        ("1_000", "1_000"),
        ("1.50", "1.50"),
        ("0x10", "0x10"),
        ("12", 12),
        ("-3", -3),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"12"', "12"),
    ],
)
def test_a_text_is_taken_as_it_stands(text, value):
    assert read(f"a: {text}\n".encode()).content == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "“a” stands here twice"),
        ("a: &x 1\nb: 2\n", 1, "no references"),
        ("a: 1\nb: *x\n", 2, "no references"),
        ("a: 1\n<<: {b: 1}\nb: !!python/object:os.system x\n", 3, "no tags"),
        ("a: !mine x\n", 1, "no tags"),
        ("a: 1\n---\nb: 2\n", 2, "A second document"),
        ("a: [1, 2\nb: 3\n", 2, "This is no YAML"),
        ("? [a]\n: b\n", 1, "plain text"),
        ("a: 1\n\tb: 2\n", 2, "This is no YAML"),
        ("a: " + "[" * 50 + "]" * 50, 1, "levels deep"),
        ('a: "\\0"\n', 1, "NUL"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_line(text, line, message):
    found = fault(text)
    assert message in found.message
    assert found.line == line


def test_a_file_of_references_to_references_costs_nothing():
    bomb = "a: &a [x, x]\n" + "".join(f"{n}: &n{n} [*a, *a]\n" for n in range(1000))
    began = time.monotonic()
    fault(bomb)
    assert time.monotonic() - began < 1


def test_what_is_too_large_or_too_deep_is_refused_at_once():
    assert fault(b"#" * (LARGEST_BYTES + 1)).message == "The file is larger than 1 MB."
    began = time.monotonic()
    fault("[" * (LARGEST_BYTES - 1))
    fault("{a: " * (LARGEST_BYTES // 4 - 1))
    assert time.monotonic() - began < 5


@given(st.one_of(st.text(max_size=60).map(str.encode), st.binary(max_size=60)))
def test_anything_is_read_or_refused(text):
    with suppress(Faulty):
        assert isinstance(read(text).lines, dict)
