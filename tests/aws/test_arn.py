"""Role ARNs are read exactly as IAM writes them, and refused with the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.names import partitions

NAMES = st.text("abcXYZ019_+=,.@-", min_size=1, max_size=64)
PATHS = st.one_of(
    st.just("/"),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80).map(
        lambda t: f"/{t}/"
    ),
)


@given(
    st.sampled_from(partitions()),
    st.from_regex(r"[0-9]{12}", fullmatch=True).filter(str.isascii),
    PATHS,
    NAMES,
)
def test_every_legal_arn_comes_back_as_it_was(partition, account, path, name):
    text = f"arn:{partition}:iam::{account}:role{path}{name}"
    arn = RoleArn.parse(text)
    assert str(arn) == text
    assert (arn.partition, arn.account, arn.path, arn.name) == (partition, account, path, name)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text):
    for candidate in (
        text,
        f"arn:aws:iam::111122223333:role/{text}",
        f"arn:{text}:iam::111122223333:role/X",
    ):
        reason = why_refused(candidate)
        assert reason is None or (reason and reason.isprintable())


def why_refused(text):
    try:
        assert str(RoleArn.parse(text)) == text
    except InvalidArn as reason:
        return str(reason)
    return None


def test_the_session_of_a_role_has_no_path_in_its_arn():
    arn = RoleArn.parse("arn:aws-cn:iam::111122223333:role/division/unit/Deploy")
    assert arn.path == "/division/unit/"
    assert arn.assumed_role_arn("ben") == "arn:aws-cn:sts::111122223333:assumed-role/Deploy/ben"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "looks like"),
        ("Deploy", "looks like"),
        ("arn:aws:iam::111122223333:role/Deploy\n", "line breaks"),
        (" arn:aws:iam::111122223333:role/Deploy", "spaces"),
        ("arn:aws:iam::111122223333:role/Déploy", "outside ASCII"),
        ("arn:aws:iam::١١١١٢٢٢٢٣٣٣٣:role/Deploy", "outside ASCII"),
        ("arn:amazon:iam::111122223333:role/Deploy", "partition “amazon”"),
        ("arn:aws:s3::111122223333:role/Deploy", "service iam"),
        ("arn:aws:iam:eu-west-1:111122223333:role/Deploy", "no region"),
        ("arn:aws:iam::11112222333:role/Deploy", "12 digits"),
        ("arn:aws:iam:::role/Deploy", "12 digits"),
        ("arn:aws:iam::111122223333:user/ada", "not “user”"),
        ("arn:aws:iam::111122223333:role", "not “role”"),
        ("arn:aws:iam::111122223333:role/", "1 to 64"),
        ("arn:aws:iam::111122223333:role//Deploy", "path is empty"),
        ("arn:aws:iam::111122223333:role/team/", "1 to 64"),
        (f"arn:aws:iam::111122223333:role/{'x' * 65}", "has 65"),
        (f"arn:aws:iam::111122223333:role/{'p' * 511}/Deploy", "too long"),
        (f"arn:aws:iam::111122223333:role/{'p' * 2048}", "2048"),
        ("arn:aws:sts::111122223333:assumed-role/Deploy/ben", "role session, not of the role"),
    ],
)
def test_what_is_wrong_with_an_arn_is_said(text, reason):
    with pytest.raises(InvalidArn, match=reason):
        RoleArn.parse(text)
