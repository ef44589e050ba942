"""A spreadsheet shows what was typed, and computes none of it."""

import csv
import io
import json

import pytest

from sessions.ledger.csv_export import COLUMNS, csv_lines, safe
from tests.ledger.stored import MINTED, line

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"]


def table(*lines):
    text = b"".join(csv_lines(lines)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_begins_a_formula(formula):
    assert safe(formula) == f"'{formula}"
    [row] = table(
        line(
            1,
            "session.created",
            {"alias": formula, "role_session_name": formula},
            actor=formula,
            session_alias=formula,
        )
    )
    assert [row["actor"], row["session"], row["role_session_name"]] == [f"'{formula}"] * 3
    assert not any(cell.startswith(tuple(FORMULAS)) for cell in row.values())


@pytest.mark.parametrize("text", ["ada", "a=1", "2026", " =1", "", "'", 'say "hello", then\r\ngo'])
def test_other_text_stays_as_it_was(text):
    assert safe(text) == text
    [row] = table(line(1, actor=text))
    assert row["actor"] == text


def test_a_line_has_a_column_for_each_thing_one_filters_by():
    minted = MINTED | {"hop": 2, "origin": {"address": "192.0.2.17", "client": "aws-cli"}}
    [row] = table(line(7, "credential.minted", minted, actor="worker", session_alias="Deploy"))
    assert tuple(row) == COLUMNS
    assert row["number"] == "7"
    assert row["time"] == "2026-11-27T12:07:00.000000+00:00"
    assert (row["kind"], row["event"]) == ("credential.minted", "credential issued")
    assert row["for"] == "ben, Jörg"
    assert row["access_key_id"] == "ASIAIOSFODNN7EXAMPLE"
    assert (row["address"], row["client"]) == ("192.0.2.17", "aws-cli")
    assert json.loads(row["other"]) == {"hop": 2, "root": MINTED["root"]}


def test_lines_of_odd_data_are_exported_too():
    assert len(table(line(1, "?", {"for": 7, "origin": [1]}), line(2, "token.created", {}))) == 2
