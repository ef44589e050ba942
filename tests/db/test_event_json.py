"""The data of a line is read as it was written, however it is stored."""

import json

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from sessions.db.letters import FOLLOWS, LETTERS, pack, unpack
from sessions.ledger.events import KINDS, keys_of
from sessions.models import Event
from tests.ledger.attacks import TEAM

MINTED = {
    "for": ["ada"],
    "credential": "59ab8595-e3bc-46b2-8e92-d8909c6e006e",
    "hop": 1,
    "role_arn": "arn:aws-cn:iam::111122223333:role/teams/blue/Deploy",
    "role_session_name": "ada@laptop",
    "access_key_id": "ASIAIOSFODNN7EXAMPLE",
    "parent_access_key_id": "AKIAI44QH8DHBEXAMPLE",
    "arn": "arn:aws-cn:sts::111122223333:assumed-role/Deploy/ada@laptop",
    "sts_region": "cn-north-1",
    "expires_at": "2026-11-27T20:44:03+00:00",
    "principal_id": "AROACKCEVSQ6C2EXAMPLE:ada@laptop",
}
values = st.one_of(
    *(
        st.none(),
        st.integers(-9, 9),
        st.text(max_size=9),
        st.lists(st.text(max_size=3), max_size=2),
    ),
    st.sampled_from(
        [*MINTED.values(), FOLLOWS, f"x{FOLLOWS}", "==", "::::", "arn:aws:iam::1:role/", ":ada", ""]
    ),
)


@given(
    st.dictionaries(st.sampled_from(["by", "K", *LETTERS]), values).map(lambda odd: MINTED | odd)
)
def test_whatever_a_line_says_comes_back(data):
    assert unpack(json.loads(json.dumps(pack(data)))) == data


def test_what_follows_from_other_fields_is_not_stored():
    stored = pack(MINTED)
    assert stored["A"] == FOLLOWS
    assert stored["I"] == f"AROACKCEVSQ6C2EXAMPLE{FOLLOWS}"
    assert len(json.dumps(stored)) < 0.7 * len(json.dumps(MINTED))
    assert pack(MINTED | {"arn": "another"})["A"] == "another"


def test_no_kind_has_a_letter_of_ours_for_a_key():
    taken = {key for kind in KINDS.values() for key in keys_of(kind)}
    assert not taken & set(LETTERS.values())


@pytest.mark.django_db
def test_the_database_has_the_short_form_and_python_the_long_one():
    Event.objects.create(team_id=TEAM, seq=1, at="2026-11-27T12:00Z", kind="x", data=MINTED)
    assert Event.objects.get().data == Event.objects.values_list("data", flat=True)[0] == MINTED
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM chains_event")
        stored = cursor.fetchone()[0]
    stored = json.loads(stored) if isinstance(stored, str) else stored
    assert stored == (pack(MINTED) if connection.vendor == "postgresql" else MINTED)
