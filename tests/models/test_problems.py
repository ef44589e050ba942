"""A problem is stored as JSON with the keys that it always had, and read whole again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sessions.models import Credential, Problem

MOMENT = datetime(2026, 11, 25, 3, 4, 5, tzinfo=UTC)
WHOLE = Problem(
    "ServiceUnavailable",
    0,
    "AWS could not be reached.",
    "Check the network.",
    MOMENT,
    retrying=True,
    cause="AWS at this moment",
    tried=MOMENT + timedelta(microseconds=678901),
    home="eu-central-1",
    unanswered=True,
)
STORED = {
    "code": "ServiceUnavailable",
    "hop": 0,
    "message": "AWS could not be reached.",
    "check": "Check the network.",
    "since": "2026-11-25T03:04:05+00:00",
    "retrying": True,
    "rejected": False,
    "waiting": False,
    "cause": "AWS at this moment",
    "tried": "2026-11-25T03:04:05.678901+00:00",
    "home": "eu-central-1",
    "unanswered": True,
}


def test_a_problem_is_stored_under_the_keys_of_earlier_versions():
    assert WHOLE.to_json() == STORED
    assert Problem.from_json(STORED) == WHOLE


def test_most_problems_say_nothing_of_a_roots_key_or_codes():
    plain = WHOLE.untried()
    assert set(STORED) - set(plain.to_json()) == {"tried", "home", "unanswered"}
    assert Problem.from_json(plain.to_json()) == plain


def test_what_one_viewer_is_told_is_not_stored():
    seen = replace(WHOLE, served_until=MOMENT, people=("ada",), is_ended=True)
    assert seen.to_json() == STORED


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (
            {"code": "IdentityChanged", "message": "Ended.", "check": "Start it again."},
            Problem("IdentityChanged", 0, "Ended.", "Start it again."),
        ),
        (
            {"code": "X", "hop": 2, "message": "m", "check": "c", "since": None, "retrying": True},
            Problem("X", 2, "m", "c", retrying=True),
        ),
        (
            {"code": "X", "hop": 0, "message": "m", "check": "c", "tried": None, "home": None},
            Problem("X", 0, "m", "c"),
        ),
    ],
)
def test_rows_of_earlier_versions_stay_readable(stored, read):
    assert Problem.from_json(stored) == read


@pytest.mark.parametrize(
    ("problem", "label"),
    [
        (Problem("AccessDenied", 1, "", ""), "rejected"),
        (Problem("Throttling", 1, "", "", retrying=True), "retrying"),
        (
            Problem("Throttling", 1, "", "", retrying=True, served_until=MOMENT),
            "delayed, valid until 03:04 UTC",
        ),
        (Problem("CodeNeeded", 0, "", "", waiting=True), "waiting for a code"),
        (Problem("ApprovalDenied", 0, "", "", waiting=True), "waiting for an approval"),
        (Problem("ChoiceNeeded", 0, "", "", waiting=True), "waiting for a choice"),
        (Problem("PinNeeded", 0, "", "", waiting=True), "waiting for a person"),
        (Problem("IdentityChanged", 0, "", "", is_ended=True), "ended"),
    ],
)
def test_a_label_names_what_becomes_of_it(problem, label):
    assert problem.label == label
    assert problem.is_final == (label in {"rejected", "ended"})


@pytest.mark.django_db
def test_the_column_gives_problems_and_is_asked_for_its_keys(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    rows = Credential.objects.filter(level=1)
    for problem in (WHOLE, WHOLE.untried()):
        rows.update(problem=problem)
        assert rows.get().problem == problem
        assert rows.get(problem=problem, problem__hop=0, problem__retrying=True)
        assert rows.filter(problem__tried__isnull=False).exists() == (problem is WHOLE)
        assert rows.values_list("problem", "problem__cause").get() == (problem, problem.cause)
    rows.update(problem=None)
    assert rows.get(problem__isnull=True).problem is None
