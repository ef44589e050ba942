"""One worker at a time holds a row; one that comes back late changes nothing."""

from datetime import timedelta

import pytest

from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.models import Approval, Credential, Move, Problem
from sessions.roots.key_rotation import ask_rotation

pytestmark = pytest.mark.django_db
TRIED = ["credential", "approval", "key rotation"]


@pytest.fixture
def row(house, request):
    """Return one that is due, of the model that the test names."""
    now = database_now()
    match request.param:
        case "credential":
            [leaf] = house.chain(1)
            house.start(leaf)
            return Credential.objects.get(level=1)
        case "approval":
            return _approval(house, "one")
        case "key rotation":
            return ask_rotation(house.root, Actor(house.ada))
        case "move":
            return Move.objects.create(team=house.team, of=100, created_at=now)


def _approval(house, key, overdue_seconds=0):
    now = database_now()
    due_at = now - timedelta(seconds=overdue_seconds)
    return Approval.objects.create(key=key, team=house.team, asked_at=now, due_at=due_at)


def _lose(row):
    past = database_now() - timedelta(seconds=1)
    assert type(row).objects.filter(pk=row.pk).update(lease_until=past) == 1


@pytest.mark.parametrize("row", [*TRIED, "move"], indirect=True)
def test_a_late_write_after_a_lost_lease_is_refused(row):
    rows = type(row).objects
    late = rows.hold(row.pk)
    assert late.lease_until > database_now()
    assert rows.hold(row.pk) is None
    _lose(row)
    other = rows.hold(row.pk)
    assert other.fence != late.fence
    assert not late.write()
    assert not late.release(fence=None)
    assert rows.held(late.fence).write(late.fence) == rows.all().release(late.fence) == 0
    stored = rows.get(pk=row.pk)
    assert (stored.fence, stored.lease_until) == (other.fence, other.lease_until)


@pytest.mark.parametrize("row", [*TRIED, "move"], indirect=True)
def test_a_write_extends_the_lease_and_a_release_ends_it(row):
    rows = type(row).objects
    held = rows.hold(row.pk)
    _lose(row)  # but nobody has taken it since
    assert held.write()
    assert rows.get(pk=row.pk).lease_until > database_now()
    assert rows.hold(row.pk) is None
    assert held.release()
    assert rows.get(pk=row.pk).lease_until is None
    assert rows.hold(row.pk).fence != held.fence


@pytest.mark.parametrize("row", TRIED, indirect=True)
def test_what_is_put_off_says_why_and_is_held_again_when_due(row):
    rows, problem = type(row).objects, Problem("Throttling", 1, "", "", retrying=True)
    [held] = rows.hold_due(5)
    assert held.pk == row.pk
    assert list(rows.hold_due(5)) == []
    assert held.release(problem=problem, due_at=database_now() + timedelta(minutes=1))
    assert rows.hold(row.pk, due=True) is None
    assert rows.get(pk=row.pk).problem == problem
    rows.filter(pk=row.pk).update(due_at=database_now())
    assert rows.hold(row.pk, due=True).problem == problem


def test_the_longest_overdue_is_held_first_unless_put_off_meanwhile(house):
    for number in range(4):
        _approval(house, str(number), overdue_seconds=number)
    held = Approval.objects.select_related("team", "user").hold_due(3)
    assert next(held).key == "3"
    Approval.objects.filter(pk="2").update(due_at=None)
    assert [each.key for each in held] == ["1"]


def test_what_nobody_holds_is_not_written_to(house):
    approval = _approval(house, "one")
    with pytest.raises(AssertionError):
        approval.write(due_at=None)
    with pytest.raises(AssertionError):
        approval.release(due_at=None)
    assert Approval.objects.get().due_at is not None
