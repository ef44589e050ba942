"""Believe nothing that somebody wrote into the database beside a sealed value."""

import json
from datetime import timedelta

import pytest
from django.db.models import F

from sessions import sealing
from sessions.activations.status import Status
from sessions.actors import Actor, NamedActor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.probes import report_on, start_probe
from sessions.catalog.sessions import Draft
from sessions.credentials.payloads import open_credentials, seal_credentials
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, reveal
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.maintenance.reseal import reseal_all
from sessions.models import CHAINED, Activation, AwsSession, Credential, Probe, Scope
from sessions.people.tokens import create_token
from sessions.sealing import SealingError
from sessions.secret import Secret
from tests.api.tool import Api
from tests.harness.keys import seal_key
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db


def active(house, alias="Leaf", member=None):
    leaf = house.chained(alias)
    house.start(leaf, member or house.ben)
    house.work()
    return leaf


def credential_of(leaf):
    return Activation.objects.get(session=leaf).credential


EDITS = {
    "a later end": {"expires_at": F("expires_at") + timedelta(hours=10)},
    "a slightly later end": {"expires_at": F("expires_at") + timedelta(seconds=1)},
    "no end": {"expires_at": None},
    "another key id": {"access_key_id": "ASIAIOSFODNN7EXAMPLE"},
    "another generation": {"generation": 7},
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_edited_beside_the_seal_is_refused(house, edit):
    leaf = active(house)
    Credential.objects.filter(pk=credential_of(leaf).pk).update(**EDITS[edit])
    with pytest.raises(NotReady) as refused:
        reveal(leaf, Actor(house.ben), form="process", via="tests")
    answer = Api(house.token(house.ben))("GET", f"/sessions/{leaf.pk}/credentials")
    # Without an end nothing lives there, which is shown as pending.
    assert answer.status_code == (503 if edit == "no end" else 409)
    if edit != "no end":
        assert refused.value.state.problem.code == answer.json()["code"] == "CannotOpen"


def test_two_credentials_with_swapped_key_ids_open_neither(house):
    leaves = [active(house, f"Leaf {number}") for number in (1, 2)]
    one, other = (credential_of(leaf) for leaf in leaves)
    Credential.objects.filter(pk=one.pk).update(access_key_id=other.access_key_id)
    Credential.objects.filter(pk=other.pk).update(access_key_id=one.access_key_id)
    for leaf in leaves:
        with pytest.raises(NotReady):
            reveal(leaf, Actor(house.ben), form="process", via="tests")


def test_a_worker_signs_nothing_with_an_edited_parent(house, sts):
    _, second = house.chain(2)
    house.start(second)
    house.work()
    parent = Credential.objects.get(level=1)
    Credential.objects.filter(pk=parent.pk).update(expires_at=F("expires_at") + timedelta(hours=10))
    Credential.objects.filter(level=2).update(due_at=database_now())
    before = len(sts.calls)
    house.work()
    assert len(sts.calls) == before
    assert house.state(second).problem.code == "CannotOpen"


def sealed_before(row, credentials):
    """Seal as it was done when nothing but the secrets was closed in."""
    text = json.dumps(
        {
            "secret_access_key": credentials.secret_access_key.reveal(),
            "session_token": credentials.session_token.reveal(),
        }
    )
    return sealing.seal(Secret(text), row.seal_context(row.generation))


def test_what_was_sealed_before_the_upgrade_is_handed_out_still(house):
    leaf = active(house)
    row = credential_of(leaf)
    given = open_credentials(row)
    Credential.objects.filter(pk=row.pk).update(sealed=sealed_before(row, given))
    again = reveal(leaf, Actor(house.ben), form="process", via="tests")
    assert again.secret_access_key.reveal() == given.secret_access_key.reveal()


def test_an_older_process_opens_what_a_newer_one_sealed(house):
    row = credential_of(active(house))
    parts = json.loads(sealing.open_sealed(row.sealed, row.seal_context(row.generation)).reveal())
    assert {"secret_access_key", "session_token"} <= parts.keys()


def test_what_is_closed_in_stays_so_under_a_seal_key(house, settings):
    leaf = active(house)
    settings.CHAINWEB_SEAL_KEYS = f"{seal_key('k2')},{settings.CHAINWEB_SEAL_KEYS}"
    assert reseal_all().unopened == 0
    assert reveal(leaf, Actor(house.ben), form="process", via="tests")
    Credential.objects.filter(pk=credential_of(leaf).pk).update(
        expires_at=F("expires_at") + timedelta(hours=1)
    )
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ben), form="process", via="tests")


def test_a_sealed_value_under_another_end_does_not_open(house):
    row = credential_of(active(house))
    given = open_credentials(row)
    row.sealed = seal_credentials(row, given, row.generation)
    assert open_credentials(row).access_key_id == given.access_key_id
    for ends in (None, row.expires_at + timedelta(microseconds=1)):
        row.expires_at = ends
        with pytest.raises(SealingError, match="changed"):
            open_credentials(row)


def test_an_end_that_a_worker_has_brought_forward_is_no_tampering(house):
    row = credential_of(active(house))
    row.expires_at -= timedelta(minutes=40)
    assert open_credentials(row).expires_at == row.expires_at


# --- pointers into another team -------------------------------------------------------------------


@pytest.fixture
def other(house, sts):
    """Another team with an active session of its own."""
    other = TeamFixture(sts, "other")
    other.leaf = active(other, "Theirs", other.ben)
    return other


def test_an_activation_with_another_teams_credential_gives_nothing(house, other):
    leaf = active(house)
    theirs = credential_of(other.leaf)
    Activation.objects.filter(session=leaf).update(credential=theirs)
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ben), form="process", via="tests")
    token = create_token(house.ben, "fetch", NamedActor("ben"), scopes=[Scope.CREDENTIALS])
    answer = Api(token)("GET", f"/sessions/{leaf.pk}/credentials")
    assert answer.status_code == 409
    assert theirs.access_key_id not in answer.content.decode()
    assert house.state(leaf).status is Status.INACTIVE
    assert not other.events(CredentialRevealed)


def test_a_parent_of_another_team_is_signed_with_by_nobody(house, other, sts):
    leaf = active(house)
    Credential.objects.filter(pk=credential_of(leaf).pk).update(
        parent=credential_of(other.leaf), due_at=database_now()
    )
    before = len(sts.calls)
    house.work()
    assert len(sts.calls) == before
    assert house.state(leaf).problem.code == "WrongPointer"


def test_another_request_under_the_same_name_is_not_asked(house, sts):
    leaf = active(house)
    row = credential_of(leaf)
    request = {**row.request, "role_arn": house.role_arn("Admin")}
    Credential.objects.filter(pk=row.pk).update(request=request, due_at=database_now())
    before = len(sts.calls)
    house.work()
    assert len(sts.calls) == before
    assert house.state(leaf).problem.code == "WrongPointer"


def test_a_root_row_that_points_to_another_teams_root_opens_nothing(house, other, sts):
    leaf = active(house)
    Credential.objects.filter(team=house.team, level=0).update(root=other.root)
    Credential.objects.filter(pk=credential_of(leaf).pk).update(due_at=database_now())
    before = len(sts.calls)
    house.work()
    assert len(sts.calls) == before


def test_a_probe_that_points_to_another_teams_credential_shows_nothing(house, other):
    draft = Draft(
        kind=CHAINED,
        alias="Draft",
        profile="draft",
        region="eu-west-1",
        assumer=house.root,
        hop=HopSettings(role_arn=house.role_arn("Draft"), role_session_name="{username}"),
    )
    probe = start_probe(draft, Actor(house.ben), None)
    theirs = credential_of(other.leaf)
    Probe.objects.filter(pk=probe.pk).update(credential=theirs)
    report = report_on(Probe.objects.select_related("credential").get(pk=probe.pk))
    assert (report.state, report.hops, report.problem.code) == ("failed", [], "WrongPointer")
    assert AwsSession.objects.filter(pk=other.leaf.pk).exists()
