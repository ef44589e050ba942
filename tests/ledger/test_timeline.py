"""The timeline counts what was issued, delivered and rejected, at a cost that does not grow."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.ledger import timeline
from sessions.ledger.search import EventSearch, Lines
from sessions.ledger.timeline import timeline_of
from tests.ledger.stored import NOON, TEAM, line, store

pytestmark = pytest.mark.django_db
KINDS = ("credential.minted", "root.opened", "credential.revealed", "credential.refused")


def counted(**wanted):
    return timeline_of(Lines.of(TEAM, EventSearch(**wanted)))


def test_bars_count_each_kind_in_its_time():
    minutes = (0, 1, 1, 7, 45)
    kinds = ("credential.minted", "root.opened", "credential.revealed", "credential.refused", "?")
    store(
        *(
            line(seq, kind, at=NOON + timedelta(minutes=minute, seconds=5))
            for seq, (minute, kind) in enumerate(zip(minutes, kinds, strict=True), start=1)
        )
    )
    found = counted()
    assert (found.issued, found.delivered, found.rejected) == (2, 1, 1)
    assert found.step == timedelta(minutes=1)
    some = {bar.since: (bar.issued, bar.delivered, bar.rejected) for bar in found.bars}
    assert len(some) == 8
    assert some[NOON] == (1, 0, 0)
    assert some[NOON + timedelta(minutes=1)] == (1, 1, 0)
    assert some[NOON + timedelta(minutes=7)] == (0, 0, 1)
    assert not found.is_cut


def test_a_searched_time_is_shown_whole():
    store(line(1, "credential.minted", at=NOON + timedelta(minutes=5)))
    found = counted(since=NOON - timedelta(hours=1), until=NOON + timedelta(hours=1))
    assert found.bars[0].since == NOON - timedelta(hours=1)
    assert found.bars[-1].since + found.step == NOON + timedelta(hours=1)
    assert counted(since=NOON + timedelta(hours=1)) is None
    assert counted(person="nobody") is None


@pytest.mark.parametrize("span", [0, 1, 50, 3000, 10**5, 10**7])
def test_there_are_never_many_bars(span):
    ats = [NOON + timedelta(minutes=span * each // 10) for each in range(11)]
    store(*(line(seq, KINDS[seq % 4], at=at) for seq, at in enumerate(ats, start=1)))
    found = counted()
    assert len(found.bars) <= timeline.BARS
    assert found.issued + found.delivered + found.rejected == 11
    gaps = {b.since - a.since for a, b in zip(found.bars, found.bars[1:], strict=False)}
    assert gaps <= {found.step}
    assert found.bars[0].since <= ats[0]
    assert ats[-1] < found.bars[-1].since + found.step


@pytest.mark.parametrize("asked", [{}, {"person": "ada"}])
def test_only_the_newest_lines_are_counted_by_as_many_queries(monkeypatch, asked):
    monkeypatch.setattr(timeline, "WALKED", 10)
    monkeypatch.setattr(timeline, "FOUND", 10)
    taken = []
    for begin, end in ((1, 20), (20, 300)):
        store(*(line(seq, KINDS[seq % 3]) for seq in range(begin, end)))
        with CaptureQueriesContext(connection) as captured:
            found = counted(**asked)
        taken.append(len(captured))
        assert found.issued + found.delivered == 10
        assert found.is_cut
    assert taken[0] == taken[1]
