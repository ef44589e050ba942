"""Closing a session closes its role: by whatever other session, and for new ones."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access, Audience, access_of
from sessions.catalog.probes import start_probe
from sessions.catalog.same_role import close_wider_ways, wider_ways
from sessions.catalog.sessions import Draft, save_session
from sessions.exceptions import Refused, RightLost
from sessions.ledger.events.sessions import AccessChanged
from sessions.locks import parts
from sessions.models import CHAINED, Activation, AssumerLink, AwsSession, Event
from tests.api.tool import Api
from tests.house import TeamFixture, crowd

NOBODY = Audience(everyone=False)


def only(*members, groups=()):
    return Audience(everyone=False, members=list(members), groups=list(groups))


@pytest.fixture
def dep(house):
    """Make a session on a role, closed to all but bea."""
    session = house.chained("dep", member=house.ada, arn=house.role_arn("Deploy"))
    set_access(session, Access(only(house.bea), NOBODY), Actor(house.ada))
    return session


def draft(house, arn, alias="mine"):
    return Draft(
        CHAINED,
        alias,
        alias,
        "eu-west-1",
        assumer=house.root,
        hop=HopSettings(role_arn=arn, role_session_name="{username}"),
    )


def test_who_is_kept_out_of_a_role_gets_it_by_no_session_of_their_own(house, dep):
    arn = dep.link.role_arn
    for attempt in (save_session, lambda wanted, actor: start_probe(wanted, actor, None)):
        with pytest.raises(Refused, match="closed to you: “dep”") as refused:
            attempt(draft(house, arn), Actor(house.ben))
        assert refused.value.field == "role_arn"
    # Nor by making one of their own into it.
    own = house.chained("own", member=house.ben)
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "own"), Actor(house.ben), own)
    # Who is let in, and admins, may have sessions of their own with it.
    save_session(draft(house, arn, "beas"), Actor(house.bea))
    save_session(draft(house, arn, "adas"), Actor(house.ada))


def test_form_and_api_say_it_on_the_field(house, dep):
    arn = dep.link.role_arn
    body = {
        "kind": CHAINED,
        "alias": "mine",
        "profile": "mine",
        "region": "eu-west-1",
        "role_arn": arn,
        "assumer": str(house.root.pk),
    }
    answer = Api(house.token())("POST", "/sessions", body)
    assert answer.status_code == 422
    assert "closed to you" in answer.json()["fields"]["role_arn"][0]
    page = house.browser().post(
        reverse("new_session_form", args=[house.team.slug, "aws", CHAINED]),
        {**body, "role_session_name": ""},
    )
    assert page.status_code == 422
    assert "closed to you" in page.content.decode()
    assert not AwsSession.objects.filter(alias="mine").exists()


def test_a_role_that_some_session_opens_to_somebody_is_not_closed_to_them(house, dep):
    opened = house.chained("open", member=house.ada, arn=dep.link.role_arn)
    set_access(opened, Access(Audience(), NOBODY), Actor(house.ada))
    save_session(draft(house, dep.link.role_arn), Actor(house.ben))


def test_a_group_lets_its_people_in(house, dep):
    group = save_group(Actor(house.ada), "deployers", [house.ben])
    set_access(dep, Access(only(groups=[group]), NOBODY), Actor(house.ada))
    save_session(draft(house, dep.link.role_arn), Actor(house.ben))


def test_who_has_a_session_on_a_role_keeps_it_and_may_edit_it(house):
    arn = house.role_arn("Deploy")
    mine = save_session(draft(house, arn), Actor(house.ben))
    dep = house.chained("dep", member=house.ada, arn=arn)
    set_access(dep, Access(only(house.bea), NOBODY), Actor(house.ada))
    save_session(draft(house, arn, "renamed"), Actor(house.ben), mine)


def test_other_teams_and_roles_of_another_name_are_nobodys_matter(house, dep, sts):
    other = TeamFixture(sts, slug="other")
    save_session(draft(other, dep.link.role_arn), Actor(other.ben))
    save_session(draft(house, dep.link.role_arn.replace("Deploy", "Deployer")), Actor(house.ben))


def test_a_new_root_is_open_to_admins_alone(house):
    key = house.sts.add_user("fresh")
    body = {
        "kind": "iam-user",
        "alias": "Fresh",
        "profile": "fresh",
        "region": "eu-west-1",
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }
    root = AwsSession.objects.get(
        pk=Api(house.token(house.ada))("POST", "/sessions", body).json()["id"]
    )
    assert not root.open_to_assume
    with pytest.raises(Refused, match="to assume the role from"):
        house.chained("mine", root, member=house.ben)
    set_access(root, Access(Audience(), only(house.ben)), Actor(house.ada))
    house.chained("mine", root, member=house.ben)


def test_the_page_names_every_wider_way_and_closes_all_in_one_step(house, dep):
    arn = dep.link.role_arn
    set_access(dep, Access(Audience(), Audience()), Actor(house.ada))
    wide = [house.chained(f"wide {number}", member=house.ben, arn=arn) for number in range(2)]
    set_access(dep, Access(only(house.bea), NOBODY), Actor(house.ada))
    alike = house.chained("alike", member=house.ada, arn=arn)
    set_access(alike, Access(only(house.bea), NOBODY), Actor(house.ada))
    house.start(wide[0])
    house.start(wide[0], house.bea)
    house.work()
    ways, more = wider_ways(dep, 20)
    assert [(way.session.alias, way.active_people) for way in ways] == [
        ("wide 0", 2),
        ("wide 1", 0),
    ]
    assert not more
    ada, url = house.browser(house.ada), reverse("session_access", args=[dep.pk])
    shown = ada.get(url).content.decode()
    assert "Other ways to this role" in shown
    assert "Close 2 sessions too" in shown
    assert ada.post(url, {"close_others": "1"}).status_code == 302
    for each in (*wide, alike):
        each.refresh_from_db()
        access = access_of(each)
        assert access.start.members == [house.bea]
        assert access.assume == NOBODY
    # Who lost the right lost what they had; who keeps it keeps it.
    assert list(Activation.objects.values_list("user", flat=True)) == [house.bea.user_id]
    assert wider_ways(dep, 20) == ([], False)
    assert "Other ways" not in ada.get(url).content.decode()
    told = Event.objects.filter(kind=AccessChanged.tag).values_list("session_alias", flat=True)
    assert {"wide 0", "wide 1", "alike"} <= set(told)


def test_a_member_closes_no_ways_that_are_others(house):
    arn = house.role_arn("Deploy")
    mine = house.chained("mine", member=house.ben, arn=arn)
    house.chained("adas", member=house.ada, arn=arn)
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ben))
    with pytest.raises(RightLost):
        close_wider_ways(mine, Actor(house.ben))
    assert (
        "Ask an admin to close them"
        in house.browser().get(reverse("session_access", args=[mine.pk])).content.decode()
    )


def test_an_open_session_has_no_wider_ways_and_closes_none(house):
    arn = house.role_arn("Deploy")
    first = house.chained("first", member=house.ada, arn=arn)
    house.chained("second", member=house.ada, arn=arn)
    assert wider_ways(first, 20) == ([], False)
    with pytest.raises(Refused, match="restrict it first"):
        close_wider_ways(first, Actor(house.ada))


@pytest.mark.parametrize("keeps", [False, True])
def test_closing_a_session_closes_it_to_assume_from_unless_said(house, keeps):
    session = house.chained("dep", member=house.ada)
    url = reverse("session_access", args=[session.pk])
    data = {
        "start": "named",
        "start_people": [house.bea.pk],
        "assume": "everyone",
        "version": session.access_version,
    }
    house.browser(house.ada).post(url, data | ({"keep_assume": "on"} if keeps else {}))
    session.refresh_from_db()
    assert (session.open_to_start, session.open_to_assume) == (False, keeps)


def test_by_the_api_assuming_is_closed_with_the_session_unless_said(house):
    session, api = house.chained("dep", member=house.ada), Api(house.token(house.ada))
    closed = api(
        "PUT", f"/sessions/{session.pk}/access", {"start": {"everyone": False, "people": ["bea"]}}
    ).json()
    assert closed["assume"] == {"everyone": False, "people": [], "groups": []}
    opened = api("PUT", f"/sessions/{session.pk}/access", {"start": {"everyone": True}}).json()
    assert opened["assume"]["everyone"] is True
    root = api("PUT", f"/sessions/{house.root.pk}/access", {}).json()
    assert root["assume"]["everyone"] is False


def test_many_ways_are_closed_in_parts(house, dep, monkeypatch):
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    for number in range(5):
        way = house.chained(f"way {number}", member=house.ada, arn=dep.link.role_arn)
        set_access(way, Access(Audience(), Audience()), Actor(house.ada))
    assert len(close_wider_ways(dep, Actor(house.ada))) == 5
    assert wider_ways(dep, 20) == ([], False)
    assert not AwsSession.objects.filter(
        link__role_arn=dep.link.role_arn, open_to_start=True
    ).exists()


def test_a_new_session_of_a_closed_role_is_closed_like_it(house, dep):
    group = save_group(Actor(house.ada), "deployers", [house.ben])
    set_access(dep, Access(only(house.bea, groups=[group]), NOBODY), Actor(house.ada))
    new = save_session(draft(house, dep.link.role_arn, "beas"), Actor(house.bea))
    # An admin who is not let in by any other lets themselves in.
    adas = save_session(draft(house, dep.link.role_arn, "adas"), Actor(house.ada))
    for session, members in ((new, [house.bea]), (adas, [house.bea, house.ada])):
        access = access_of(AwsSession.objects.get(pk=session.pk))
        assert not access.start.everyone
        assert {each.pk for each in access.start.members} == {each.pk for each in members}
        assert access.start.groups == [group]
        assert access.assume == NOBODY
    house.start(new, house.ben)
    save_group(
        Actor(house.ada), "deployers", [], group
    )  # who leaves it is out of the new ones as well
    assert not Activation.objects.exists()
    with pytest.raises(RightLost):
        house.start(new, house.ben)
    told = Event.objects.filter(kind=AccessChanged.tag, session_id=str(new.pk)).get()
    assert told.data["start"] == {"everyone": False, "people": ["bea"], "groups": ["deployers"]}


def test_an_edit_opens_a_closed_role_to_nobody(house, dep):
    beas = house.chained("beas", member=house.bea)
    house.start(beas, house.ben)
    save_session(draft(house, dep.link.role_arn, "beas"), Actor(house.bea), beas)
    assert access_of(AwsSession.objects.get(pk=beas.pk)).start.members == [house.bea]
    assert not Activation.objects.exists()
    with pytest.raises(RightLost):
        house.start(beas, house.ben)
    # Saved again with the same role, it stays as somebody has opened it since.
    set_access(beas, Access(Audience(), NOBODY), Actor(house.ada))
    save_session(draft(house, dep.link.role_arn, "renamed"), Actor(house.bea), beas)
    assert AwsSession.objects.get(pk=beas.pk).open_to_start


def test_whoever_made_a_session_does_not_open_what_others_have_closed(house):
    arn = house.role_arn("Deploy")
    dep = house.chained("dep", member=house.ada, arn=arn)
    mine = save_session(draft(house, arn), Actor(house.ben))
    set_access(dep, Access(only(house.bea), NOBODY), Actor(house.ada))
    close_wider_ways(dep, Actor(house.ada))
    ben = Api(house.token())
    for wanted in ({"everyone": True}, {"everyone": False, "people": ["ben"]}):
        answer = ben("PUT", f"/sessions/{mine.pk}/access", {"start": wanted})
        assert answer.status_code == 422
        assert "closed: “dep”" in answer.json()["fields"]["start"][0]
    page = house.browser().post(
        reverse("session_access", args=[mine.pk]), {"start": "everyone", "assume": "named"}
    )
    assert page.status_code == 422
    assert "Ask an admin" in page.content.decode()
    with pytest.raises(RightLost):
        house.start(mine, house.ben)
    # Nobody is kept from closing it further, nor from opening it again as far as the role is open.
    set_access(mine, Access(only(), NOBODY), Actor(house.ben))
    set_access(mine, Access(only(house.bea), NOBODY), Actor(house.ben))
    set_access(mine, Access(Audience(), NOBODY), Actor(house.ada))


def test_who_made_every_session_of_a_role_opens_and_closes_them(house):
    arn = house.role_arn("Mine")
    sessions = [
        save_session(draft(house, arn, f"mine{number}"), Actor(house.ben)) for number in range(2)
    ]
    for access in (Access(only(house.ben), NOBODY), Access(Audience(), NOBODY)):
        for session in sessions:
            set_access(session, access, Actor(house.ben))


def test_many_ways_take_as_many_queries_as_few(house, dep):
    url, ada, taken = reverse("session_access", args=[dep.pk]), house.browser(house.ada), []
    for number in (3, 60):
        for way in crowd(house, number, prefix=f"Way {number}"):
            AssumerLink.objects.filter(session=way).update(role_arn=dep.link.role_arn)
        with CaptureQueriesContext(connection) as page:
            assert ada.get(url).status_code == 200
        with CaptureQueriesContext(connection) as closing:
            assert len(close_wider_ways(dep, Actor(house.ada))) == number
        taken.append((len(page), len(closing)))
    assert taken[0] == taken[1]
