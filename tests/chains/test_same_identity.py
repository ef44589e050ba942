"""Two roots that are one user or role at AWS are ways to each other, as far as that is known."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws.arn import identity_key, role_key
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access
from sessions.catalog.same_role import close_wider_ways, how_many_end, wider_ways
from sessions.catalog.sessions import Draft, save_session
from sessions.models import Activation, AwsSession, ClosedByAdmin
from tests.catalog.closing import EVERYONE, NOBODY, only, stored
from tests.engine.standing import web_identity
from tests.engine.test_reach import ambient
from tests.house import ACCOUNT, TeamFixture
from tests.roots.portals import portal

USER = f"arn:aws:iam::{ACCOUNT}:user/ci"


def told(root, arn):
    """Return what a test of the root has told."""
    AwsSession.objects.filter(pk=root.pk).update(identity_arn=arn)
    root.identity_arn = arn


def opened(root):
    AwsSession.objects.filter(pk=root.pk).update(open_to_assume=True)
    return root


def ways(session):
    return [way.session.alias for way in wider_ways(session, 20)[0]]


@pytest.fixture
def closed(house):
    """Make the house's root, closed to everyone but admins and ben."""
    set_access(house.root, Access(EVERYONE, only(house.ben)), Actor(house.ada))
    return house.root


def test_two_keys_of_one_user_are_ways_to_each_other(house, closed):
    twin, other = house.iam_user("Twin"), house.iam_user("Other")
    assert ways(closed) == []  # nobody has asked AWS yet
    told(closed, USER)
    told(twin, USER)
    told(other, f"{USER}2")
    assert ways(closed) == ["Twin"]
    assert ways(twin) == []  # it is open to everyone
    shown = (
        house.browser(house.ada).get(reverse("session_access", args=[closed.pk])).content.decode()
    )
    assert "Other ways to this identity" in shown
    assert "Close 1 session too" in shown


def test_one_key_that_is_stored_twice_is_a_way_without_a_test(house, closed):
    twin = Draft("iam-user", "Twin", "twin", "eu-west-1", settings=dict(closed.settings))
    opened(save_session(twin, Actor(house.ada)))
    assert ways(closed) == ["Twin"]


def test_closing_ends_what_others_have_built_on_them(house, closed):
    twin = house.iam_user("Twin")
    for root in (closed, twin):
        told(root, USER)
    bens, beas = (
        house.chained(alias, twin, member=member)
        for alias, member in (("bens", house.ben), ("beas", house.bea))
    )
    for session in (bens, beas):
        house.start(session, house.ben)
    assert how_many_end(closed) == 1  # beas: ben keeps his right
    assert [each.alias for each in close_wider_ways(closed, Actor(house.ada))] == ["Twin"]
    assert stored(twin).assume == only(house.ben)
    assert AwsSession.objects.get(pk=twin.pk).open_to_start  # which says nothing of a root
    assert list(Activation.objects.values_list("session", flat=True)) == [bens.pk]
    assert not ClosedByAdmin.objects.exists()  # roots are the admins' anyway
    assert ways(closed) == []


def test_the_same_role_of_the_portal_is_a_way_whatever_its_address(house, center):
    first = portal(house, center, account_id=ACCOUNT, role_name="Deploy")
    settings = first.settings | {"start_url": "https://my-company.awsapps.com/start"}
    for alias, changed in (
        ("Twin", {}),
        ("Other", {"role_name": "Read"}),
        ("Else", {"account_id": "1" * 12}),
    ):
        opened(
            save_session(
                Draft(
                    "identity-center",
                    alias,
                    alias.lower(),
                    "eu-west-1",
                    settings=settings | changed,
                ),
                Actor(house.ada),
            )
        )
    set_access(first, Access(EVERYONE, NOBODY), Actor(house.ada))
    assert ways(first) == ["Twin"]


def test_the_role_of_a_web_identity_is_a_way_to_it_as_a_chained_session(
    house, monkeypatch, tmp_path
):
    web = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    set_access(web, Access(EVERYONE, NOBODY), Actor(house.ada))
    chained = house.chained("chained", arn=web.settings["role_arn"].replace("role/", "role/path/"))
    assert ways(web) == ["chained"]
    set_access(chained, Access(only(house.bea), NOBODY), Actor(house.ada))
    opened(web)
    assert ways(chained) == ["Web"]
    assert [each.alias for each in close_wider_ways(chained, Actor(house.ada))] == ["Web"]
    # To start is no right at a root: what is open there alone is no way.
    set_access(web, Access(EVERYONE, NOBODY), Actor(house.ada))
    assert ways(chained) == []


def test_the_workers_own_identity_is_one_whatever_the_alias(house, monkeypatch):
    worker = ambient(house, monkeypatch)
    set_access(worker, Access(EVERYONE, NOBODY), Actor(house.ada))
    opened(save_session(Draft("ambient", "Twin", "twin", "eu-west-1"), Actor(house.ada)))
    assert ways(worker) == ["Twin"]
    # Once it is known which role that is, sessions with it are ways as well.
    told(worker, f"arn:aws:sts::{ACCOUNT}:assumed-role/Workers/worker-1")
    house.chained("chained", arn=house.role_arn("ops/Workers"))
    assert set(ways(worker)) == {"chained", "Twin"}


def test_a_root_of_another_team_is_no_way(house, closed, sts):
    other = TeamFixture(sts, slug="other")
    for root in (closed, other.root):
        told(root, USER)
    assert ways(closed) == []


def test_many_roots_take_as_many_queries_as_few(house, closed):
    told(closed, USER)
    counts = []
    for number in (1, 5):
        for at in range(number):
            told(house.iam_user(f"Twin {number} {at}"), USER)
        with CaptureQueriesContext(connection) as taken:
            wider_ways(closed, 20)
        counts.append(len(taken))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (USER, USER.replace("user/", "user/team/"), True),
        (USER, USER.replace("ci", "CI"), True),
        (USER, USER.replace("aws:", "aws-cn:", 1), False),
        (USER, f"arn:aws:iam::{ACCOUNT}:role/ci", False),
        (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/A/x",
            f"arn:aws:sts::{ACCOUNT}:assumed-role/A/y",
            True,
        ),
        (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/A/x",
            f"arn:aws:sts::{ACCOUNT}:assumed-role/B/x",
            False,
        ),
        (f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:root", True),
        (f"arn:aws:iam::{ACCOUNT}:root", "arn:aws:iam::222233334444:root", False),
    ],
)
def test_callers_are_told_apart_as_iam_does(one, other, same):
    assert (identity_key(one) == identity_key(other)) is same


def test_a_role_session_is_its_role():
    assert identity_key(f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/me") == role_key(
        f"arn:aws:iam::{ACCOUNT}:role/a/b/Deploy"
    )
