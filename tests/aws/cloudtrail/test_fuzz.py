"""No change of a record makes reading fail, and what is read can be stored."""

import dataclasses
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sessions.aws.cloudtrail.reading import read
from tests.aws.cloudtrail.samples import assumed, event, record, role, sso, user
from tests.examples import examples

ANY_TEXT = st.text(st.characters(), max_size=40)
NUMBERS = st.integers() | st.floats() | st.just(10**400)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT | st.sampled_from(["null", "", "{}", "{a=b}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
WHOLE = [
    event(),
    assumed(role()),
    assumed(sso(onBehalfOf={"userId": "1"}), asked={"tags": [{"key": "a", "value": "b"}]}),
    event("SwitchRole", role(), additionalEventData={"SwitchFrom": user()["arn"]}),
]


def paths(value, before=()):
    """List the place of each field, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*before, key)
            yield from paths(item, (*before, key))


DROP = object()


def changed(found, path, change):
    """Copy a record with one field dropped or replaced."""
    copy = place = dict(found)
    for key in path[:-1]:
        place[key] = dict(place[key])
        place = place[key]
    if change is DROP:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = change
    return copy


def assert_storable(found):
    """Check that text, numbers and times of a record go into a database and onto a page."""
    stored = json.dumps(dataclasses.asdict(found), allow_nan=False, ensure_ascii=False, default=str)
    assert "\\u0000" not in stored
    stored.encode()


@settings(max_examples=examples(800))
@given(st.data())
def test_no_change_of_any_field_makes_reading_fail(data):
    found = data.draw(st.sampled_from(WHOLE))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(paths(found)) or [("x",)]))
        found = changed(found, path, data.draw(JSON | st.just(DROP)))
    read(record(found))
    assert_storable(record(found))


@settings(max_examples=examples(400))
@given(st.dictionaries(ANY_TEXT | st.sampled_from(list(event())), JSON, max_size=6))
def test_no_object_at_all_makes_reading_fail(found):
    read(record(found))
    assert_storable(record(found))
