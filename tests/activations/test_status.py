"""Pages and API say what stands in a session's way."""

import re

import pytest
from django.urls import reverse

from sessions.activations.status import Status
from sessions.engine import rotation
from tests.api.tool import Api
from tests.engine.aging import age
from tests.roots.mfa import mfa_root, protected

pytestmark = pytest.mark.django_db


def session_page(house, session, member=None):
    return house.browser(member).get(reverse("session", args=[session.pk])).content.decode()


def list_page(house, member=None):
    return (
        house.browser(member).get(reverse("session_list", args=[house.team.slug])).content.decode()
    )


def answered(house, session, member=None):
    return Api(house.token(member))("GET", f"/sessions/{session.pk}").json()


@pytest.fixture
def leaf(house):
    """One that ben has started and that is active."""
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    return leaf


@pytest.mark.parametrize(
    ("code", "status"), [("AccessDenied", Status.FAILED), ("Throttling", Status.PENDING)]
)
def test_the_last_success_is_shown_when_what_was_minted_then_has_run_out(
    house, sts, leaf, code, status
):
    assert ">Issued</dt>" in session_page(house, leaf)
    age(61)
    sts.fail_next(code)
    house.work()
    state = house.state(leaf)
    assert (state.status, state.expires_at) == (status, None)
    minted_at = state.minted_at.isoformat(timespec="seconds")
    assert re.search(
        rf'>Last issued</dt><dd><time datetime="{re.escape(minted_at)}"', session_page(house, leaf)
    )
    assert answered(house, leaf)["minted_at"][:19] == minted_at[:19]


def test_a_late_rotation_is_delayed_and_says_how_long_the_old_serves(house, sts, leaf):
    age(40)
    sts.fail_next("Throttling")
    rotation.run()  # once: it is due again within a second
    ends = house.state(leaf).expires_at
    assert house.state(leaf).status is Status.ACTIVE
    label = f"delayed, valid until {ends:%H:%M} UTC"
    assert f'<span class="problem__label">{label}</span>' in session_page(house, leaf)
    assert '<span class="hop__state">delayed here</span>' in session_page(house, leaf)
    # The list has the time left beside it.
    assert "row-problem--waiting" in list_page(house)
    assert ">delayed: Throttling, hop 1</span>" in list_page(house)
    assert answered(house, leaf)["problem"]["label"] == label


@pytest.mark.parametrize(
    ("code", "label"), [("AccessDenied", "rejected"), ("Throttling", "retrying")]
)
def test_what_was_never_minted_is_called_refused_or_retrying(house, sts, code, label):
    _, leaf = house.chain(2)
    house.start(leaf)
    sts.fail_next(code, after=1)
    house.work()
    assert f'<span class="problem__label">{label}</span>' in session_page(house, leaf)
    assert f">{label}: {code}, hop 2</span>" in list_page(house)
    assert ("row-problem--waiting" in list_page(house)) == (label == "retrying")
    assert answered(house, leaf)["problem"]["label"] == label


def test_what_waits_for_a_person_is_called_so_in_the_list_and_by_the_api(house):
    leaf = protected(house, mfa_root(house), "Leaf")
    house.start(leaf)
    house.work()
    assert ">waiting for a code</span>" in list_page(house)
    assert answered(house, leaf)["problem"]["label"] == "waiting for a code"


def test_what_was_never_minted_has_no_last_success(house):
    [leaf] = house.chain(1, arn=house.role_arn("Shut", trusts=[]))
    assert answered(house, leaf)["minted_at"] is None
    house.start(leaf)
    house.work()
    assert house.state(leaf).status is Status.FAILED
    assert "minted</dt>" not in session_page(house, leaf).lower()
    assert answered(house, leaf)["minted_at"] is None
