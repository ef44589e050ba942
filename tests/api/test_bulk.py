"""Do one thing to many sessions: each has its own result."""

import uuid

import pytest

from sessions.models import AwsSession
from tests.api.tool import Api
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


def ask(api, action, sessions, **more):
    ids = [str(getattr(each, "pk", each)) for each in sessions]
    answer = api("POST", "/sessions/bulk", {"action": action, "ids": ids, **more})
    assert answer.status_code == 200, answer.content
    assert [each["id"] for each in answer.json()["results"]] == ids
    return answer.json()["results"]


def statuses(results):
    return [each["status"] for each in results]


def test_what_is_refused_of_one_starts_the_others(house, ben):
    other = TeamFixture(house.sts, "other")
    leaves = house.chain(2)
    results = ask(ben, "start", [leaves[0], house.root, other.root, uuid.uuid4(), leaves[1]])
    assert statuses(results) == [200, 409, 404, 404, 200]
    assert [each["code"] for each in results][1:3] == ["is_a_root", "not_found"]
    assert results[0]["session"]["status"] == "pending"
    assert statuses(ask(ben, "stop", leaves)) == [200, 200]
    assert {state.status for state in house.states(leaves)} == {"inactive"}


def test_rotating_says_of_which_nothing_was_started(house, ben):
    started, idle = house.chain(2)
    house.start(started)
    house.work()
    results = ask(ben, "rotate", [started, idle])
    assert [each["code"] for each in results] == [None, "inactive"]


def test_labels_are_added_and_removed_and_regions_set(house, ada):
    first, second = house.chain(2)
    assert statuses(ask(ada, "label", [first, second], add=["a", "b"])) == [200, 200]
    results = ask(ada, "label", [first], add=["c"], remove=["A"])
    assert results[0]["session"]["labels"] == ["b", "c"]
    results = ask(ada, "region", [first, second], region="eu-central-1")
    assert {each["session"]["region"] for each in results} == {"eu-central-1"}
    assert statuses(ask(ada, "region", [first], region="mars-1")) == [422]


def test_a_member_changes_their_own_alone(house, ben):
    mine, hers = house.chained("Mine", member=house.ben), house.chained("Hers", member=house.bea)
    assert statuses(ask(ben, "region", [mine, hers], region="eu-west-3")) == [200, 403]
    assert statuses(ask(ben, "delete", [hers, mine])) == [403, 204]
    assert not AwsSession.objects.filter(pk=mine.pk).exists()


def test_deleting_takes_dependants_only_if_told(house, ada):
    first, second, third = house.chain(3)
    assert statuses(ask(ada, "delete", [first])) == [409]
    assert statuses(ask(ada, "delete", [third, second, first])) == [204] * 3
    first, second, _ = house.chain(3, prefix="Again")
    assert statuses(ask(ada, "delete", [first, second], dependants=True)) == [204, 204]
    assert not AwsSession.objects.filter(alias__startswith="Again").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "paint", "ids": []}, "action"),
        ({"action": "start", "ids": [], "region": "eu-west-1"}, "region"),
        ({"action": "region", "ids": []}, "region"),
        ({"action": "label", "ids": []}, "add"),
        ({"action": "start", "ids": [str(uuid.uuid4())] * 201}, "ids"),
    ],
)
def test_what_does_not_fit_the_action_is_refused(ada, body, field):
    answer = ada("POST", "/sessions/bulk", body)
    assert (answer.status_code, [*answer.json()["fields"]]) == (422, [field])
