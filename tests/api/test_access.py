"""By the API: the other ways to what a session is at AWS, and closing them in one step."""

import pytest

from sessions.actors import Actor, NamedActor
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, access_of
from sessions.catalog.sessions import save_session
from sessions.exceptions import Refused
from sessions.models import Activation, AwsSession
from sessions.people.tokens import create_token
from tests.api.tool import Api
from tests.catalog.closing import EVERYONE, NOBODY, draft, only, stored


@pytest.fixture
def dep(house):
    """Make a session closed to all but bea, and ben's on the same role, open to everyone."""
    arn = house.role_arn("Deploy")
    house.mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    session = house.chained("dep", arn=arn)
    set_access(session, Access(only(house.bea), NOBODY), Actor(house.ada))
    return session


def test_the_other_ways_are_named_and_closed_in_one_step(house, dep):
    api, path = Api(house.token(house.ada)), f"/sessions/{dep.pk}/access/ways"
    house.start(house.mine)
    house.start(house.mine, house.bea)
    answer = api("GET", path)
    everyone = {"everyone": True, "people": [], "groups": []}
    assert answer.json() == {
        "ways": [
            {
                "id": str(house.mine.pk),
                "alias": "mine",
                "kind": "iam-role-chained",
                "active_people": 2,
                "start": everyone,
                "assume": everyone,
            }
        ],
        "more": False,
        "may_close": True,
        "ending": 1,
    }
    assert api("POST", f"{path}/close").json() == {
        "closed": [{"id": str(house.mine.pk), "alias": "mine"}]
    }
    assert stored(house.mine) == Access(only(house.bea), NOBODY)
    assert list(Activation.objects.values_list("user", flat=True)) == [house.bea.user_id]
    assert api("GET", path).json()["ways"] == []
    assert api("POST", f"{path}/close").json() == {"closed": []}
    with pytest.raises(Refused, match="Ask an admin"):
        set_access(house.mine, Access(EVERYONE, NOBODY), Actor(house.ben))


def test_an_open_session_has_to_be_closed_first(house, dep):
    api, path = Api(house.token(house.ada)), f"/sessions/{house.mine.pk}/access/ways"
    assert api("GET", path).json() == {"ways": [], "more": False, "may_close": False, "ending": 0}
    answer = api("POST", f"{path}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, "is_open")
    assert "restrict it first" in answer.json()["message"]


def test_whoever_may_not_share_all_of_them_closes_none(house, dep):
    ben, arn = Api(house.token()), house.role_arn("Other")
    mine, second = (
        save_session(draft(house, arn, alias), Actor(house.ben)) for alias in ("mine 1", "mine 2")
    )
    house.chained("adas", arn=arn)
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ben))
    path = f"/sessions/{mine.pk}/access/ways"
    found = ben("GET", path).json()
    assert ([each["alias"] for each in found["ways"]], found["may_close"]) == (
        ["adas", "mine 2"],
        False,
    )
    answer = ben("POST", f"{path}/close")
    assert answer.status_code == 403
    assert stored(second) == Access(EVERYONE, EVERYONE)
    for method, address in (("GET", path), ("POST", f"{path}/close")):
        assert Api(house.token(house.bea))(method, address).status_code == 403


def test_a_token_needs_the_scope_and_closes_only_its_own_sessions(house, dep):
    path = f"/sessions/{dep.pk}/access/ways"
    reads = Api(
        create_token(house.ada, "reads", NamedActor("ada"), scopes=["read", "use", "credentials"])
    )
    for method, address in (("GET", path), ("POST", f"{path}/close")):
        answer = reads(method, address)
        assert (answer.status_code, answer.json()["fields"]) == (403, {"scope": ["manage"]})
    bound = Api(create_token(house.ada, "bound", NamedActor("ada"), sessions=[dep]))
    assert bound("GET", path).json()["ways"] == []
    assert bound("POST", f"{path}/close").status_code == 403
    assert stored(house.mine) == Access(EVERYONE, EVERYONE)
    both = Api(create_token(house.ada, "both", NamedActor("ada"), sessions=[dep, house.mine]))
    assert len(both("POST", f"{path}/close").json()["closed"]) == 1


def test_a_root_of_the_same_user_is_a_way_by_the_api_too(house):
    twin = house.iam_user("Twin key")
    for root in (house.root, twin):
        AwsSession.objects.filter(pk=root.pk).update(
            identity_arn="arn:aws:iam::111122223333:user/ci"
        )
    set_access(house.root, Access(EVERYONE, NOBODY), Actor(house.ada))
    api, path = Api(house.token(house.ada)), f"/sessions/{house.root.pk}/access/ways"
    assert [(each["alias"], each["kind"]) for each in api("GET", path).json()["ways"]] == [
        ("Twin key", "iam-user")
    ]
    assert [each["alias"] for each in api("POST", f"{path}/close").json()["closed"]] == ["Twin key"]
    assert access_of(AwsSession.objects.get(pk=twin.pk)).assume == NOBODY
