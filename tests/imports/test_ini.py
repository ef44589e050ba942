"""The reader of INI files takes what botocore takes, and says where the rest goes wrong."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.imports.ini import Unreadable, read_ini, write_ini
from tests.imports.botocores import raw

PIECES = [
    *("[a]", "[profile b]", "[DEFAULT]", "[ x ]", "[]", "[[z]]", "]", "[c]#", '[profile "q r"]'),
    *(" ", "\t", "\n", "\n", "\n", "\n", "\r", "\r\n", "=", ":", "k", "key", "K = v", "  x = 1"),
    *("s3 =\n  a = b\n", "#", "; c", "\x0b", "\x0c", "\x85", "\u2028", "\xa0", "\ufeff", "\x1c"),
    *("\x00", "é", "İ"),
]


def ours(text):
    try:
        sections = read_ini(text)
    except Unreadable:
        return None
    return {
        section.header: {
            name: value.text if value.nested is None else value.nested
            for name, value in section.values.items()
        }
        for section in sections
    }


@given(st.booleans(), st.lists(st.sampled_from(PIECES), max_size=25))
def test_a_file_is_read_as_botocore_reads_it(starts_well, pieces):
    text = ("[first]\n" if starts_well else "") + "".join(pieces)
    assert ours(text) == raw(text)


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_what_is_written_is_read_as_it_was(pieces):
    found = ours(text := "[first]\n" + "".join(pieces))
    if found is None:
        return
    texts = {
        section.header: {name: value.text for name, value in section.values.items()}
        for section in read_ini(text)
    }
    written = write_ini(texts.items())
    assert ours(written) == found == raw(written)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("key = value\n[a]\n", 1, "before the first [section]"),
        ("\n# c\n  key = value\n", 3, "before the first [section]"),
        ("\ufeff[default]\n", 1, "byte order mark"),
        ("[a]\nx = 1\n\n[a]\n", 4, "there twice, first on line 1"),
        ("[a]\nx = 1\nX = 2\n", 3, "“x” is there twice in [a], first on line 2"),
        ("[a]\nno value\n", 2, "no “name = value”"),
        ("[a]\n= value\n", 2, "no “name = value”"),
        ("[a]\ns3 =\n  good = 1\n\n  # comment\n  bad\n", 6, "has no “=”"),
    ],
)
def test_a_refusal_names_the_line(text, line, said):
    with pytest.raises(Unreadable) as refused:
        read_ini(text)
    assert (refused.value.line, said in refused.value.message) == (line, True)
    assert raw(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f"[a]\nx{' ' * 1_000_000}y",
        f"[a]\nx = {'y' * 1_000_000}",
        f"[{'a' * 1_000_000}]",
        "[a]\nx =\n" + "  y = z\n" * 120_000,
        "[a]\n" + "".join(f"k{number} = v\n" for number in range(90_000)),
        "".join(f"[profile p{number}]\nregion = eu-west-1\n" for number in range(19_000)),
        "[a]\nx =" + "\n" * 1_000_000 + "  z",
        "[" * 1_000_000,
        "[a]\n" + "=" * 1_000_000,
    ],
    ids=range(9),
)
def test_a_megabyte_of_anything_is_read_in_a_moment(text):
    began = time.process_time()
    ours(text)
    assert time.process_time() - began < 3


def test_shared_settings_of_very_many_sections_are_refused():
    shared = "[DEFAULT]\n" + "".join(f"k{number} = v\n" for number in range(1000))
    with pytest.raises(Unreadable, match="too much"):
        read_ini(shared + "".join(f"[s{number}]\n" for number in range(1000)))


def test_more_sections_than_any_file_has_are_refused():
    with pytest.raises(Unreadable, match="more than 20000 sections") as refused:
        read_ini("".join(f"[s{number}]\n" for number in range(20_002)))
    assert refused.value.line == 20_001
