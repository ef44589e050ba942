"""Every kind of event is a class, and reads what any version has ever stored."""

import hashlib
import re
from datetime import UTC, datetime

import pytest
from django.conf import settings

from sessions.actors import NamedActor
from sessions.ledger import Entry, canonical, events
from sessions.ledger.events import KINDS, EventData, Unknown, event, shared
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.people import MemberRemoved
from sessions.ledger.events.sessions import AccessChanged, Opening, SessionCreated, SessionStarted
from sessions.ledger.events.tokens import TokenCreated
from sessions.models import Event
from sessions.secret import Secret
from tests.ledger.samples import line_of, stored


def test_a_line_has_the_hash_that_it_has_always_had():
    said = SessionStarted(
        ends_at=datetime(2026, 11, 27, 20, 44, 3, tzinfo=UTC), again=False, credential="d10b"
    )
    line = Event(
        team_id="0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10",
        seq=7,
        at=datetime(2026, 11, 27, 8, 44, 3, 125, tzinfo=UTC),
        kind=said.tag,
        actor="ben",
        session_id="7b2f09b7-3a66-4cdb-aad1-b75322ffa3fe",
        session_alias="Deploy",
        data=said.as_data(),
        prev="00" * 32,
    )
    assert canonical(line) == (
        b'{"actor":"ben","at":"2026-11-27T08:44:03.000125+00:00","data":{"again":false,'
        b'"credential":"d10b","ends_at":"2026-11-27T20:44:03+00:00"},"kind":"session.started",'
        b'"prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":7,'
        b'"session_alias":"Deploy","session_id":"7b2f09b7-3a66-4cdb-aad1-b75322ffa3fe",'
        b'"team_id":"0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"}'
    )
    assert hashlib.sha256(canonical(line)).hexdigest() == (
        "5670b9d7e0ccc03850ce3be61c5cff9be44e83ab32cf4fba356d0cd6454c157c"
    )


@stored
def test_a_stored_line_is_read_and_written_as_it_was(line):
    said = events.read(line["kind"], line["data"])
    assert type(said) is KINDS[line["kind"]]
    assert said.as_data() == line["data"]
    rewritten = line_of(line, said.as_data())
    assert hashlib.sha256(canonical(rewritten)).hexdigest() == line["hash"]


@stored
def test_a_stored_line_is_summed_up_in_plain_words(line):
    said = events.read(line["kind"], line["data"])
    assert said.label
    assert said.summary().isprintable()
    assert "None" not in said.summary()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_line_without_any_data_is_still_read(kind):
    said = events.read(kind.tag, {})
    assert isinstance(said, kind)
    assert said.summary()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_line_whose_values_are_of_other_types_is_still_read(kind):
    keys = events.keys_of(kind)
    for wrong in (7, "seven", ["seven"], {"seven": 7}, None, True):
        assert events.read(kind.tag, dict.fromkeys(keys, wrong)).summary()


def test_a_kind_that_this_version_does_not_know_is_no_error():
    said = events.read("session.teleported", {"to": "the moon"})
    assert said == Unknown(kind="session.teleported", data={"to": "the moon"})
    assert "session.teleported" in said.summary()


def test_a_tag_that_is_taken_is_refused():
    with pytest.raises(ValueError, match=r"session\.started.*SessionStarted"):

        @event
        class Another(EventData):
            tag = "session.started"
            label = "session started again"

    assert KINDS["session.started"] is SessionStarted


def test_a_field_that_no_line_can_hold_is_refused():
    with pytest.raises(TypeError, match="Secret"):

        @event
        class Leak(EventData):
            tag = "test.leak"
            label = "leak"

            value: Secret

    assert "test.leak" not in KINDS


def test_a_class_that_is_no_kind_is_not_written():
    @shared
    class Unregistered(EventData):
        tag = "test.unregistered"
        label = "unregistered"

    for said in (Unregistered(), Unknown(kind="session.started", data={})):
        with pytest.raises(TypeError, match="no registered kind"):
            Entry(said, NamedActor("ada"))


def subclasses(kind):
    return {kind, *(each for below in kind.__subclasses__() for each in subclasses(below))}


def test_every_class_with_a_tag_of_its_own_is_registered():
    ours = {each for each in subclasses(EventData) if each.__module__.startswith(events.__name__)}
    assert {each for each in ours if vars(each).get("tag")} == set(KINDS.values())


def test_each_kind_has_a_label_of_its_own():
    assert len({kind.label for kind in KINDS.values()}) == len(KINDS)


def test_the_documented_list_of_kinds_is_the_registrys():
    """Copy what differs to docs/operations.md."""
    listed = [
        f"| `{tag}` | {kind.label} | {', '.join(events.keys_of(kind))} |"
        for tag, kind in sorted(KINDS.items())
    ]
    page = (settings.BASE_DIR / "docs" / "operations.md").read_text()
    assert [line for line in page.splitlines() if re.match(r"\| `[a-z_]+\.", line)] == listed


def test_a_kind_is_frozen():
    said = MemberRemoved(member="ben")
    with pytest.raises(AttributeError):
        said.member = "eve"


def test_a_field_without_a_default_has_to_be_said():
    with pytest.raises(TypeError, match="via"):
        CredentialRevealed(access_key_id="", credential="", expires_at=None, form="posix")


@pytest.mark.parametrize("value", [Secret("wJalrXUtnFEMI"), b"bytes", 1.5, object()])
def test_what_no_line_can_hold_is_refused_at_any_depth(value):
    said = SessionCreated(
        kind="iam-user", alias="", profile="", region="", settings={"list": [value]}, hop={}
    )
    with pytest.raises(TypeError, match=type(value).__name__):
        said.as_data()


def test_no_kind_declares_a_field_for_a_secret():
    words = ("secret", "password", "seed", "session_token", "recovery", "sealed")
    keys = {(tag, key) for tag, kind in KINDS.items() for key in events.keys_of(kind)}
    named = {(tag, key) for tag, key in keys if any(word in key for word in words)}
    # The names of what was changed, never a value.
    assert named == {
        ("session.created", "secrets_changed"),
        ("session.edited", "secrets_changed"),
        ("probe.asked", "secrets_changed"),
    }


def test_a_field_of_a_hop_that_this_module_never_heard_of_is_kept():
    said = SessionCreated(
        kind="iam-role-chained", alias="A", profile="a", region="eu-west-1", hop={"duration": 900}
    )
    assert said.as_data()["duration"] == 900
    assert SessionCreated.read(said.as_data()) == said


def test_people_for_whom_a_worker_acted_are_concerned():
    minted = CredentialMinted.read({"for": ["ada", "ben"]})
    assert minted.concerns("ben")
    assert not minted.concerns("eve")
    assert not TokenCreated.read({"of": "ben"}).concerns("ben")


@pytest.mark.parametrize(
    ("via", "said"),
    [
        ("page", "copied credentials (bash, zsh), ASIAIOSFODNN7EXAMPLE"),
        ("download", "downloaded credentials (bash, zsh), ASIAIOSFODNN7EXAMPLE"),
        (
            "token laptop",
            "fetched credentials with the token laptop (bash, zsh), ASIAIOSFODNN7EXAMPLE",
        ),
    ],
)
def test_taking_credentials_is_named_by_the_way_they_went(via, said):
    revealed = CredentialRevealed(
        access_key_id="ASIAIOSFODNN7EXAMPLE", credential="", expires_at=None, form="posix", via=via
    )
    assert revealed.summary() == said


def test_access_says_to_whom_in_one_sentence():
    changed = AccessChanged(
        start=Opening(everyone=True),
        assume=Opening(everyone=False, people=("ben",), groups=("ops",)),
        cut_off=("Deploy",),
    )
    assert changed.summary() == (
        "set who may start it: everyone; who may assume from it: ben, group ops; stopped Deploy"
    )
