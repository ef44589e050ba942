"""A declared value survives its stored form, and what was never set is not in it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.aws.hop import Hop
from sessions.aws.hop_settings import HopSettings
from sessions.aws.parameters import parameters_of

TEXT = st.text(max_size=8)
SETTINGS = st.builds(
    HopSettings,
    role_arn=TEXT,
    role_session_name=TEXT,
    external_id=TEXT,
    tags=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    transitive_tag_keys=st.lists(TEXT, max_size=2).map(tuple),
    policy=TEXT,
    policy_arns=st.lists(TEXT, max_size=2).map(tuple),
    without_source_identity=st.booleans(),
    networks=st.lists(TEXT, max_size=2).map(tuple),
)


@given(SETTINGS)
def test_settings_survive_json_whole_and_without_what_is_empty(settings):
    assert HopSettings.from_json(json.loads(json.dumps(settings.stored()))) == settings
    assert HopSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert all(settings.to_json().values())


@given(SETTINGS)
def test_a_hop_takes_what_is_sent_and_nothing_else(settings):
    hop = Hop.of(settings, role_session_name="ben", source_identity="ben", policy="")
    assert hop.values() == {
        **{name: value for name, value in settings.values().items() if name in hop.values()},
        "role_session_name": "ben",
        "source_identity": "ben",
        "policy": "",
    }
    assert not {"networks", "without_source_identity"} & set(hop.values())


def test_every_parameter_of_a_hop_has_its_name_at_sts():
    assert all(each.sent_as for each in parameters_of(Hop).values())
    names = [each.sent_as for each in parameters_of(Hop).values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", parameters_of(HopSettings))
def test_the_help_of_a_setting_has_at_most_eight_words(name):
    declared = parameters_of(HopSettings)[name]
    assert declared.label
    assert 1 <= len(declared.help.split()) <= 8


def test_form_and_api_show_tags_as_an_object():
    settings = replace(HopSettings(), tags=(("stage", "live"),))
    assert settings.typed()["tags"] == {"stage": "live"}
    assert settings.stored()["tags"] == [["stage", "live"]]


def test_a_setting_of_a_later_version_is_not_dropped_in_silence():
    with pytest.raises(TypeError, match="session_colour"):
        HopSettings.from_json({"role_arn": "x", "session_colour": "blue"})
