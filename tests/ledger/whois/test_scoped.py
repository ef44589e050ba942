"""Say whose a scoped key was: the person, the device and the delivery, without a doubt."""

import pytest

from sessions.activations.start_stop import rotate_session
from sessions.actors import Actor
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.siem.lookup import rows_of
from sessions.ledger.whois import whois
from sessions.ledger.whois.answers import Certainty
from sessions.ledger.whois.clues import Clues
from tests.delivery.test_scoped import device, page, set_policy, taken

pytestmark = pytest.mark.django_db


def asked(house, key):
    return whois(house.team.pk, Clues(what="access key", access_key_id=key))


@pytest.fixture
def shared(house):
    """A session whose hop says nobody's name: two people share its leaf."""
    set_policy(house)
    leaf = house.chained("Shared", name="automation")
    for member in (house.ben, house.bea):
        house.start(leaf, member)
    house.work()
    return leaf


def test_a_key_of_a_shared_leaf_names_the_one_person_and_the_device(house, shared):
    key = taken(house, shared, device(house, "laptop"), via="token laptop").access_key_id
    answer = asked(house, key)
    assert (answer.certainty, answer.people) == (Certainty.CERTAIN, ("ben",))
    assert answer.device == "laptop"
    delivery = house.events(CredentialMinted)[-1].data["delivery"]
    assert (answer.issue.delivery, answer.issue.device) == (delivery, "laptop")
    assert [each.access_key_id for each in answer.chain][-1] == key
    assert len(answer.chain) == 2


def test_a_key_that_was_prepared_and_never_fetched_is_the_devices(house, shared):
    actor = device(house, "laptop")
    first = taken(house, shared, actor, via="token laptop").access_key_id
    rotate_session(shared, Actor(house.ben))
    house.work()
    minted = house.events(CredentialMinted)[-1].data
    assert minted["access_key_id"] != first
    answer = asked(house, minted["access_key_id"])
    assert answer.people == ("ben",)
    assert answer.issue.device == "laptop"


def test_the_leafs_own_key_was_given_to_nobody(house, shared):
    taken(house, shared, page(house))
    leaf_key = house.events(CredentialMinted)[-1].data["parent_access_key_id"]
    assert asked(house, leaf_key).deliveries == ()


def test_the_table_for_a_siem_knows_a_scoped_key_by_person_and_device(house, shared):
    key = taken(house, shared, device(house, "laptop"), via="token laptop").access_key_id
    lines = [*house.events(CredentialMinted), *house.events(CredentialRevealed)]
    table = rows_of(str(house.team.pk), sorted(lines, key=lambda line: line.seq))
    about = [(each.event, each.person, each.device) for each in table if each.access_key_id == key]
    assert about[0] == ("issued", "ben", "laptop")
    assert about[-1][:2] == ("delivered", "ben")
