"""Keep a closed role closed, whichever right, session, edit or route is tried."""

import pytest
from django.urls import reverse

from sessions.actors import Actor
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access
from sessions.catalog.same_role import close_wider_ways, wider_ways
from sessions.catalog.sessions import save_session
from sessions.exceptions import Refused
from sessions.models import CHAINED, Activation, Probe
from tests.api.tool import Api
from tests.catalog.closing import EVERYONE, NOBODY, draft, only, stored


@pytest.fixture
def dep(house):
    """Make a session on a role, closed to all but bea."""
    session = house.chained("dep", member=house.ada, arn=house.role_arn("Deploy"))
    set_access(session, Access(only(house.bea), NOBODY), Actor(house.ada))
    return session


def test_the_maker_of_a_closed_roles_session_cannot_open_it_to_assume(house):
    arn = house.role_arn("Deploy")
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    dep = house.chained("dep", member=house.ada, arn=arn)
    set_access(dep, Access(only(house.bea), NOBODY), Actor(house.ada))
    close_wider_ways(dep, Actor(house.ada))
    for wanted in (EVERYONE, only(house.ben)):
        with pytest.raises(Refused, match="closed: “dep”") as refused:
            set_access(mine, Access(NOBODY, wanted), Actor(house.ben))
        assert refused.value.field == "assume"
    answer = Api(house.token())(
        "PUT",
        f"/sessions/{mine.pk}/access",
        {"start": {"everyone": False}, "assume": {"everyone": True}},
    )
    assert answer.status_code == 422
    assert "closed" in answer.json()["fields"]["assume"][0]
    with pytest.raises(Refused, match="to assume the role from"):
        save_session(draft(house, house.role_arn("Beyond"), "beyond", mine), Actor(house.ben))


def test_a_new_session_of_a_role_closed_to_assume_from_is_closed_too(house):
    arn = house.role_arn("Deploy")
    dep = house.chained("dep", member=house.ada, arn=arn)
    set_access(dep, Access(EVERYONE, only(house.bea)), Actor(house.ada))
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    assert stored(mine) == Access(EVERYONE, only(house.bea))
    with pytest.raises(Refused, match="to assume the role from"):
        save_session(draft(house, house.role_arn("Beyond"), "beyond", mine), Actor(house.ben))


def test_an_edit_to_a_closed_role_lets_in_nobody_more(house, dep):
    """Edit one's own session to another's role: it is not for that one's people too."""
    adas = house.chained("adas", member=house.ada)
    set_access(adas, Access(only(house.ada, house.ben), NOBODY), Actor(house.ada))
    save_session(draft(house, dep.link.role_arn, "adas"), Actor(house.ada), adas)
    assert stored(adas).start == NOBODY
    set_access(adas, Access(only(house.ada), NOBODY), Actor(house.ada))
    save_session(draft(house, dep.link.role_arn, "renamed"), Actor(house.ada), adas)
    assert stored(adas).start == only(house.ada)


def test_closing_the_other_ways_opens_none_of_them_to_anybody(house):
    """Check a way that is another one at AWS: without a session policy, for fewer people."""
    arn = house.role_arn("Deploy")
    dep = house.chained("dep", member=house.ada, arn=arn)
    tight, wide = (house.chained(alias, member=house.ada, arn=arn) for alias in ("tight", "wide"))
    set_access(dep, Access(only(house.bea), NOBODY), Actor(house.ada))
    set_access(tight, Access(only(house.ada), NOBODY), Actor(house.ada))
    both = house.chained("both", member=house.ada, arn=arn)
    set_access(both, Access(only(house.bea, house.ben), EVERYONE), Actor(house.ada))
    assert {each.alias for each in close_wider_ways(dep, Actor(house.ada))} == {
        "both",
        "tight",
        "wide",
    }
    assert [stored(each).start for each in (wide, tight, both)] == [
        only(house.bea),
        NOBODY,
        only(house.bea),
    ]


def test_a_way_to_assume_from_a_closed_role_is_named_and_closed(house, dep):
    """Closed alike to start, but open for everyone to build on."""
    way = house.chained("way", member=house.ada, arn=dep.link.role_arn)
    set_access(way, Access(only(house.bea), EVERYONE), Actor(house.ada))
    hop = house.chained("hop", way, member=house.ben)
    house.start(hop)
    ways, _ = wider_ways(dep, 20)
    assert [each.session.alias for each in ways] == ["way"]
    close_wider_ways(dep, Actor(house.ada))
    assert stored(way) == Access(only(house.bea), NOBODY)
    assert not Activation.objects.exists()
    assert house.browser().post(reverse("start_session", args=[hop.pk])).status_code == 403


def test_a_person_whom_a_group_lets_in_keeps_their_own_way(house):
    arn = house.role_arn("Deploy")
    group = save_group(Actor(house.ada), "deployers", [house.ben])
    dep = house.chained("dep", member=house.ada, arn=arn)
    way = house.chained("way", member=house.ada, arn=arn)
    set_access(dep, Access(only(groups=[group]), NOBODY), Actor(house.ada))
    set_access(way, Access(only(house.ben), NOBODY), Actor(house.ada))
    house.start(way)
    assert wider_ways(dep, 20) == ([], False)
    # Once they have left the group it is one.
    save_group(Actor(house.ada), "deployers", [], group)
    assert [each.session.alias for each in wider_ways(dep, 20)[0]] == ["way"]
    close_wider_ways(dep, Actor(house.ada))
    assert not Activation.objects.exists()


def test_the_page_says_beforehand_how_much_closing_the_other_ways_stops(house, dep):
    arn = dep.link.role_arn
    group = save_group(Actor(house.ada), "deployers", [house.bea])
    set_access(dep, Access(only(groups=[group]), only(house.bea)), Actor(house.ada))
    wide, named = (house.chained(alias, member=house.ada, arn=arn) for alias in ("wide", "named"))
    set_access(wide, Access(EVERYONE, EVERYONE), Actor(house.ada))
    set_access(named, Access(only(house.bea, house.ben), only(house.ben)), Actor(house.ada))
    set_access(dep, Access(only(groups=[group]), only(house.bea)), Actor(house.ada))
    hops = [
        house.chained("bens", wide, member=house.ben),
        house.chained("beas", wide, member=house.bea),
        house.chained("adas", named, member=house.ada),
        house.chained("bens2", named, member=house.ben),
    ]
    for session in (wide, named, *hops, house.chained("far", hops[0], member=house.ada)):
        for member in (house.ben, house.bea):
            house.start(session, member)
    before = Activation.objects.count()
    shown = house.browser(house.ada).get(reverse("session_access", args=[dep.pk])).content.decode()
    close_wider_ways(dep, Actor(house.ada))
    ended = before - Activation.objects.count()
    assert ended == 8  # ben's two, and both people's on what rests on ben's right to assume
    assert f"{ended} active sessions will be stopped" in shown
    assert wider_ways(dep, 20) == ([], False)


def test_preview_test_form_and_patch_refuse_a_closed_role_and_tell_why(house, dep):
    own = house.chained("own", member=house.ben)
    ben, api = house.browser(), Api(house.token())
    typed = {
        "alias": "own",
        "profile": "own",
        "region": "eu-west-1",
        "role_arn": dep.link.role_arn,
        "role_session_name": "{username}",
        "assumer": str(house.root.pk),
    }
    for about in ({}, {"session": own.pk}):
        for name, args in (("preview_session", []), ("test_session", [CHAINED])):
            answer = ben.post(reverse(name, args=[house.team.slug, *args]), {**typed, **about})
            assert "closed to you: “dep”" in answer.content.decode(), (name, about)
    # To name the closed session itself opens nothing.
    for name, args in (("preview_session", []), ("test_session", [CHAINED])):
        answer = ben.post(
            reverse(name, args=[house.team.slug, *args]), {**typed, "session": dep.pk}
        )
        assert answer.status_code == 403
    edited = ben.post(reverse("edit_session", args=[own.pk]), {**typed, "version": own.version})
    assert edited.status_code == 422
    assert "closed to you" in edited.content.decode()
    patched = api("PATCH", f"/sessions/{own.pk}", {"role_arn": dep.link.role_arn})
    assert "closed to you" in patched.json()["fields"]["role_arn"][0]
    assert not Probe.objects.exists()
    bea = house.browser(house.bea).post(reverse("preview_session", args=[house.team.slug]), typed)
    assert "closed to you" not in bea.content.decode()
