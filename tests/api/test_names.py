"""List the names in use by API."""

import pytest

from sessions.ledger.names import count_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(house, client):
    token = f"Bearer {house.token(house.ada).reveal()}"
    return lambda **asked: client.get("/api/v1/names", asked, HTTP_AUTHORIZATION=token)


def test_names_are_listed_page_by_page(house, ask):
    for name in ("deploy", "build"):
        [leaf] = house.chain(1, name=name, prefix=name)
        house.start(leaf)
    house.work()
    count_all()
    first = ask(limit=1).json()
    second = ask(limit=1, after=first["cursor"]).json()
    assert sorted(page["names"][0]["name"] for page in (first, second)) == ["build", "deploy"]
    assert "cursor" not in second
    assert second["names"][0]["people"] == ["ben"]


@pytest.mark.parametrize("asked", [{"finding": "x"}, {"after": "x"}, {"limit": "x"}])
def test_what_cannot_be_read_is_refused(ask, asked):
    assert ask(**asked).status_code == 422
