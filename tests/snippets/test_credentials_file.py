import pytest
from botocore.configloader import raw_config_parse

from sessions.snippets import FORMATS
from tests.snippets.hostile import PROFILES, snippet, texts

render = FORMATS["credentials-file"].render
NEIGHBOUR = "[neighbour]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"


def read_by_botocore(text, tmp_path):
    """Return what botocore reads from a credentials file with the snippet among others."""
    file = tmp_path / "credentials"
    file.write_text(f"{NEIGHBOUR}{text}{NEIGHBOUR.replace('neighbour', 'next')}", encoding="utf-8")
    return raw_config_parse(str(file))


def test_ten_thousand_hostile_values_are_read_back_by_botocore_or_refused(tmp_path):
    hostile = texts(4)
    carried = refused = 0
    # What the grammar lets through is as odd as it can be, so that enough of it gets as far as
    # botocore.
    marks = "!$%&()*,-.:<=>?@^_{|}~"
    for _ in range(2_500):
        source = (lambda: hostile.tame(marks)) if hostile.chance.random() < 0.6 else hostile.any
        key_id, secret, token, region = (source() for _ in range(4))
        profile = hostile.chance.choice([*PROFILES, hostile.any()])
        try:
            text = render(snippet(key_id, secret, token, profile=profile, region=region))
        except ValueError:
            refused += 1
            continue
        carried += 1
        neighbour = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"}
        assert read_by_botocore(text, tmp_path) == {
            "neighbour": neighbour,
            profile: {
                "aws_access_key_id": key_id,
                "aws_secret_access_key": secret,
                "aws_session_token": token,
                "region": region,
            },
            "next": neighbour,
        }
    assert carried > 800
    assert refused > 800


@pytest.mark.parametrize(
    "profile",
    [
        "",
        "a]",
        "a b",
        " a",
        "a\n",
        "[a",
        "é",
        "a=b",
        "a,b",
        "a#b",
        "a;b",
        'a"b',
        "a\\b",
        "x" * 129,
        "DEFAULT",
    ],
)
def test_a_profile_that_is_no_plain_section_is_refused(profile):
    with pytest.raises(ValueError, match=r"."):
        render(snippet(profile=profile))


def test_why_the_profile_in_capitals_is_refused(tmp_path):
    """Show how Python's INI reader treats it, should that ever change."""
    text = render(snippet()).replace("[dev]", "[DEFAULT]")
    assert "aws_session_token" in read_by_botocore(text, tmp_path)["neighbour"]


@pytest.mark.parametrize(
    "value", ["#x", "x #y", ";x", "x ;y", " x", "x ", "'x'", '"x"', "a\\", "a\n b", "[x]", ""]
)
def test_what_some_reader_would_cut_or_strip_is_refused(value):
    for name in ("key_id", "secret", "token", "region"):
        with pytest.raises(ValueError, match="cannot carry"):
            render(snippet(**{name: value}))


def test_the_section_says_when_it_ends_and_where_the_simulated_aws_is():
    assert render(snippet(endpoint_url="http://[::1]:5000")).splitlines() == [
        "# From Chainweb; good until 2026-11-24T12:30:15Z",
        "[dev]",
        "aws_access_key_id = ASIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "aws_session_token = AQoDYXdzEJr1K==",
        "region = eu-west-1",
        "endpoint_url = http://[::1]:5000",
    ]


def test_a_long_lived_key_has_neither_token_nor_end():
    assert render(snippet(token=None, expires_at=None)).splitlines() == [
        "# From Chainweb",
        "[dev]",
        "aws_access_key_id = ASIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "region = eu-west-1",
    ]
