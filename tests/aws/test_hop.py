"""A hop's request, and the fingerprint that is one request's and no other's."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.aws.arn import InvalidArn
from sessions.aws.hop import Hop, root_fingerprint
from sessions.aws.names import InvalidName

ROLE = "arn:aws:iam::111122223333:role/Deploy"
FULL = Hop(
    ROLE,
    "ben",
    external_id="partner-7",
    source_identity="ben",
    tags=(("team", "platform"), ("cost", "42")),
    transitive_tag_keys=("team",),
    policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
    policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
)
TEXT = st.text(max_size=8)
HOPS = st.builds(
    Hop,
    role_arn=st.text(min_size=1, max_size=8),
    role_session_name=st.text(min_size=1, max_size=8),
    external_id=TEXT,
    source_identity=TEXT,
    tags=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    transitive_tag_keys=st.lists(TEXT, max_size=2).map(tuple),
    policy=TEXT,
    policy_arns=st.lists(TEXT, max_size=2).map(tuple),
)


def test_the_request_asks_for_one_hour_and_leaves_out_what_is_empty():
    assert Hop(ROLE, "ben").request() == {
        "RoleArn": ROLE,
        "RoleSessionName": "ben",
        "DurationSeconds": 3600,
    }


def test_a_full_request_is_what_botocores_model_of_sts_takes():
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.Session().get_service_model("sts").operation_model("AssumeRole")
    report = ParamValidator().validate(FULL.request(), model.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert len(FULL.request()) == 9


def test_a_stored_request_stays_what_it_was_in_the_database():
    stored = {
        "role_arn": ROLE,
        "role_session_name": "ben",
        "external_id": "partner-7",
        "source_identity": "ben",
        "tags": [["team", "platform"], ["cost", "42"]],
        "transitive_tag_keys": ["team"],
        "policy": FULL.policy,
        "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    }
    assert FULL.to_json() == stored
    assert Hop.from_json(stored) == FULL
    assert Hop(ROLE, "ben").to_json() == {"role_arn": ROLE, "role_session_name": "ben"}


@given(HOPS)
def test_a_hop_survives_json(hop):
    assert Hop.from_json(json.loads(json.dumps(hop.to_json()))) == hop


def semantics(hop):
    return dataclasses.replace(
        hop,
        tags=tuple(sorted(hop.tags)),
        transitive_tag_keys=tuple(sorted(hop.transitive_tag_keys)),
        policy_arns=tuple(sorted(hop.policy_arns)),
    )


@given(HOPS, HOPS, TEXT, TEXT, TEXT, TEXT)
def test_two_requests_share_a_fingerprint_only_if_they_are_the_same(
    one, two, team, other_team, parent, other_parent
):
    same = (semantics(one), team, parent) == (semantics(two), other_team, other_parent)
    assert (one.fingerprint(team, parent) == two.fingerprint(other_team, other_parent)) == same


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Hop)])
def test_every_field_counts_in_the_fingerprint(field):
    value = getattr(FULL, field)
    changed = dataclasses.replace(
        FULL, **{field: value[:-1] if isinstance(value, tuple) else f"{value}x"}
    )
    assert changed.fingerprint("t", "p") != FULL.fingerprint("t", "p")


def test_text_that_moves_from_one_part_to_the_next_is_another_request():
    hop = Hop(ROLE, "ben")
    assert hop.fingerprint("ab", "c") != hop.fingerprint("a", "bc")
    assert Hop(ROLE, "ben", external_id="xy").fingerprint("t", "p") != Hop(
        ROLE, "ben", source_identity="xy"
    ).fingerprint("t", "p")


def test_the_fingerprint_stays_what_it_was_in_the_database():
    # Stored credentials are found by it: a change here would orphan all of them.
    assert Hop(ROLE, "ben").fingerprint("team", "parent") == (
        "388897c5fea7261badf48acd63b207e0533e5978afa0d821aca660f8bbb2d898"
    )
    # Every field counts in this one; it was taken before parameters were declared.
    assert FULL.fingerprint("team", "parent") == (
        "597ec83007e7da5c45de00688e295854182fce1dd17a84b7ac952ed8f605c9b4"
    )
    assert root_fingerprint(
        "team", "session", "iam-user", 1, {"access_key_id": "AKIAIOSFODNN7EXAMPLE"}
    ) == ("bd1fe8ec192384fdd30a3ce8ffe685876b3b36e4c28f4ced20c81d9e695c59c6")


def test_a_roots_fingerprint_changes_with_secret_settings_and_person():
    base = ("team", "session", "iam-user", 1, {"a": "b"})
    others = [
        root_fingerprint(*base),
        root_fingerprint("team", "session", "iam-user", 2, {"a": "b"}),
        root_fingerprint("team", "session", "iam-user", 1, {"a": "c"}),
        root_fingerprint("team", "session", "iam-user", 1, {"a": "b"}, person="7"),
        root_fingerprint("team", "session", "other", 1, {"a": "b"}),
        Hop(ROLE, "ben").fingerprint("team", "session"),
    ]
    assert len(set(others)) == len(others)
    assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in others)


@pytest.mark.parametrize(
    "change",
    [
        {"role_arn": "Deploy"},
        {"role_session_name": "ben\n"},
        {"external_id": "x y"},
        {"source_identity": "é" * 4},
        {"tags": (("", ""),)},
        {"transitive_tag_keys": ("other",)},
        {"policy": "x" * 2049},
        {"policy": '{"Version":"2012-10-17","Statement":[]}'},
        {
            "policy_arns": tuple(
                f"arn:aws:iam::aws:policy/{'y' * 100}/{'x' * 100}{n}" for n in range(10)
            )
        },
        {"policy_arns": ("arn:aws:iam::aws:policy/" + "x" * 120,) * 2},
        {"policy_arns": ("a",) * 11},
    ],
)
def test_an_illegal_hop_is_refused_before_any_call(change):
    FULL.validate()
    with pytest.raises((InvalidArn, InvalidName)):
        dataclasses.replace(FULL, **change).validate()
