"""Test that what many lines say alike is stored once on PostgreSQL, and read as it was written."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from sessions import ledger
from sessions.actors import WORKER, NamedActor
from sessions.db import repeated
from sessions.db.short_lines import cut_delivery, cut_issue, join, reference_in
from sessions.ledger import Entry, LedgerError, triggers, verify
from sessions.ledger.downloads import json_lines
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.export import export_lines
from sessions.ledger.previous import prev_of
from sessions.ledger.search import EventSearch, Lines, last_of_session
from sessions.models import Event, LedgerHead, RepeatedData
from tests.db.test_event_json import MINTED
from tests.ledger.attacks import TEAM, write
from tests.ledger.test_retention import write_at

postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite stores lines as they are"
)
SUBJECT = ledger.Subject("7b2f09b7-3a66-4cdb-aad1-b75322ffa3fe", "Deploy")
ISSUED = CredentialMinted.read(
    MINTED
    | {
        "request_id": "4c9fc513-ac1a-56c7-b7ab-cbdc6f045a54",
        "source_identity": "ada",
        "token_size": 12,
        "root": "f6a1c7c5-3f55-4d3a-9b0e-0a53b3c1a0a2",
    }
)
TAKEN = CredentialRevealed.read(
    {
        "access_key_id": ISSUED.access_key_id,
        "credential": ISSUED.credential,
        "expires_at": "2026-11-27T20:44:03+00:00",
        "form": "process",
        "via": "page",
        "account": "111122223333",
    }
)


def append(*said, actor=WORKER):
    with transaction.atomic():
        return ledger.append(TEAM, [Entry(each, actor, SUBJECT) for each in said])


def issued(number):
    return replace(ISSUED, access_key_id=f"ASIA{number:016d}", expires_at=datetime.now(UTC))


def stored():
    with connection.cursor() as cursor:
        cursor.execute("SELECT data, length(prev) FROM chains_event WHERE seq > 1 ORDER BY seq")
        return [(json.loads(data) if isinstance(data, str) else data, n) for data, n in cursor]


@pytest.fixture
def without_triggers():
    triggers.remove(connection)
    yield
    triggers.install(connection)


@pytest.fixture(autouse=True)
def forgetful():
    repeated.forget()
    yield
    repeated.forget()


odd = st.one_of(
    st.none(),
    st.integers(-9, 2000),
    st.text(max_size=5),
    st.sampled_from([*MINTED.values(), "", "=", "4c9fc513-ac1a-56c7-b7ab-cbdc6f045a54"]),
    st.sampled_from(["2026-11-27T20:44:03", "1901-01-01T00:00:00+00:00", {"=": "x"}, ["a"]]),
)
keys = st.sampled_from([*MINTED, *CredentialMinted.__dataclass_fields__, "=", "K", "Q", "by"])


@given(st.dictionaries(keys, odd), st.sampled_from([cut_issue, cut_delivery]))
def test_whatever_is_cut_comes_back_whole(changes, cut):
    data = {**ISSUED.as_data(), **changes}
    parts = cut(data)
    if parts is not None:
        line = json.loads(json.dumps(parts.stored("AAAAAAAB")))
        assert reference_in(line) == "AAAAAAAB"
        assert join(line, json.loads(repeated.text_of(parts.common))) == data


def test_a_renewal_differs_in_its_own_part_alone():
    one, two = cut_issue(issued(1).as_data()), cut_issue(issued(2).as_data())
    assert one.common == two.common
    assert one.own != two.own
    assert len(one.own) < 70
    assert cut_issue(ISSUED.as_data() | {"request_id": "of another form"}) is None
    assert cut_issue(ISSUED.as_data() | {"access_key_id": "short"}) is None


@postgresql_only
@pytest.mark.django_db
def test_lines_refer_to_what_they_say_alike():
    write(1)
    append(*map(issued, range(40)))
    append(TAKEN, actor=NamedActor("ada"))
    assert RepeatedData.objects.count() == 2
    rows = stored()
    assert all(isinstance(data, str) and len(data) < 80 for data, _ in rows[:40])
    assert rows[40][0].keys() == {"=", "access_key_id", "expires_at"}
    assert {length for _, length in rows} == {0}


@pytest.mark.django_db
def test_short_lines_hold_and_are_read_exported_and_found():
    write(1)
    said = [*map(issued, range(5)), TAKEN]
    lines = append(*said)
    repeated.forget()
    assert verify(TEAM) is None
    read = list(Event.objects.filter(seq__gt=1).order_by("seq"))
    assert [each.data for each in read] == [each.data for each in lines]
    assert [prev_of(each) for each in read] == [each.prev for each in lines]
    exported = [json.loads(line) for line in export_lines(TEAM, Event.objects.exclude(seq=3))]
    assert [each["hash"] for each in exported[1:]] == [each.hash for each in lines if each.seq != 3]
    assert exported[2]["prev"] == lines[1].hash

    def found(**wanted):
        return [each.seq for each in Lines.of(TEAM, EventSearch(**wanted)).newest(9)]

    assert found(key="ASIA0000000000000003") == [5]
    assert found(key=ISSUED.parent_access_key_id) == [6, 5, 4, 3, 2]
    assert found(account="111122223333") == [7, 6, 5, 4, 3, 2]
    assert found(role="Deploy") == found(root=ISSUED.root) == found(name="ada@laptop")
    assert [each.seq for each in last_of_session(TEAM, SUBJECT.pk, 2)] == [7, 6]
    of_role = Lines.of(TEAM, EventSearch(role="Deploy"))
    downloaded = [json.loads(line) for line in json_lines(of_role)]
    assert [each["prev"] for each in downloaded] == [each.prev for each in lines[:5]]


@postgresql_only
@pytest.mark.django_db
def test_an_edit_of_what_lines_say_alike_is_found_as_their_edit(without_triggers):
    write(1)
    append(issued(1))
    RepeatedData.objects.update(data={"R": "arn:aws:iam::999999999999:role/Other"})
    repeated.forget()
    assert verify(TEAM).seq == 2
    RepeatedData.objects.all().delete()
    repeated.forget()
    assert verify(TEAM).seq == 2
    assert Event.objects.get(seq=2).data == {}


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ["UPDATE {} SET month = month", "DELETE FROM {}"])
def test_what_lines_say_alike_is_append_only(statement):
    RepeatedData.objects.create(id=1, team_id=TEAM, month="2026-11-01", data={})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement.format("chains_repeateddata"))


@postgresql_only
def test_a_line_whose_part_is_gone_is_not_taken(transactional_db, without_triggers):
    # As after an older copy of the database was put back under running processes.
    write(1)
    append(issued(1))
    RepeatedData.objects.all().delete()
    with pytest.raises(LedgerError):
        append(issued(2))
    append(issued(2))
    assert LedgerHead.objects.get(pk=TEAM).seq == 3


@postgresql_only
def test_what_was_rolled_back_is_stored_again(transactional_db):
    write(1)
    with transaction.atomic():
        append(issued(1))
        transaction.set_rollback(True)
    append(issued(1))
    assert RepeatedData.objects.count() == 1
    assert verify(TEAM) is None


@postgresql_only
@pytest.mark.django_db
def test_each_month_has_its_own_parts():
    write_at(datetime.now(UTC) - timedelta(days=40), 1)
    append(issued(1))
    with transaction.atomic():
        head = ledger.hold(TEAM)
        head.read_at = datetime.now(UTC) - timedelta(days=40)
        ledger.append(head, [Entry(issued(2), WORKER, SUBJECT)])
    assert len(set(RepeatedData.objects.values_list("month", flat=True))) == 2


@postgresql_only
@pytest.mark.django_db
def test_a_part_whose_number_another_has_is_stored_in_its_line(monkeypatch):
    monkeypatch.setattr(repeated, "id_of", lambda *_: 7)
    write(1)
    append(issued(1))
    append(replace(issued(2), role_session_name="eve"))
    assert [type(data) for data, _ in stored()] == [str, dict]
    assert verify(TEAM) is None
