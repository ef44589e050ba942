"""The rules in docs/siem find a chained call that Chainweb did not issue, and none that it did."""

import re
from pathlib import Path

import pytest
import yaml

from sessions.ledger.search import EventSearch, Lines
from sessions.ledger.siem.lookup import COLUMNS, rows

FOLDER = Path(__file__).parents[3] / "docs/siem"
RULE = yaml.safe_load((FOLDER / "chained-outside-chainweb.sigma.yml").read_text())
FOREIGN = "ASIAIOSFODNN7EXAMPLE"


def at(record, path):
    for key in path.split("."):
        record = record.get(key) if isinstance(record, dict) else None
    return record


def holds(record, field, wanted, keys):
    """Evaluate one line of a Sigma detection, as far as this rule goes."""
    path, _, modifier = field.partition("|")
    value = at(record, path)
    match modifier:
        case "exists":
            return (value is not None) == wanted
        case "startswith":
            return str(value).startswith(wanted)
        case "endswith":
            return str(value).endswith(wanted)
        case "expand":
            assert wanted == "%chainweb_keys%"
            return value in keys
    return value == wanted


def alerts(record, keys):
    """Tell whether the rule finds a record, given the keys of the table."""
    found = {
        name: all(holds(record, field, wanted, keys) for field, wanted in lines.items())
        for name, lines in RULE["detection"].items()
        if name != "condition"
    }
    condition = RULE["detection"]["condition"].replace(
        "1 of by_a_session*", "(by_a_session or by_a_session_of_another_account)"
    )
    return eval(condition, {}, found)


def record(key, **changes):
    return {
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE:ben",
            "arn": "arn:aws:sts::111122223333:assumed-role/Entry/ben",
            "accessKeyId": "ASIAI44QH8DHBEXAMPLE",
        },
        "responseElements": {"credentials": {"accessKeyId": key}},
    } | changes


def by(**identity):
    return {"userIdentity": record("")["userIdentity"] | identity}


@pytest.mark.django_db
def test_what_chainweb_issued_is_no_alert_and_the_rest_is(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    keys = {row.access_key_id for row in rows(Lines.of(house.team.pk, EventSearch()))}
    assert len(keys) == 2
    assert not any(alerts(record(key), keys) for key in keys)
    assert alerts(record(FOREIGN), keys)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        (by(type="AWSAccount"), True),
        (by(type="AWSAccount", principalId="AIDAEXAMPLE"), False),
        (by(type="IAMUser", principalId="AIDAEXAMPLE"), False),
        (by(type="AWSService", invokedBy="ec2.amazonaws.com"), False),
        (by(invokedBy="cloudformation.amazonaws.com"), False),
        ({"errorCode": "AccessDenied", "responseElements": None}, False),
        ({"eventName": "GetCallerIdentity"}, False),
        ({"eventSource": "s3.amazonaws.com"}, False),
    ],
    ids=str,
)
def test_the_rule_is_about_chained_calls_that_succeeded(changes, found):
    assert alerts(record(FOREIGN, **changes), set()) is found


def test_the_other_rules_ask_the_table_for_columns_it_has():
    splunk = (FOLDER / "chained-outside-chainweb.spl").read_text()
    elastic = (FOLDER / "chained-outside-chainweb.esql").read_text()
    [joined, found] = re.search(r"lookup chainweb_keys (\w+) OUTPUT (\w+)", splunk).groups()
    assert {joined, found} <= set(COLUMNS)
    assert re.search(r"LOOKUP JOIN chainweb-keys ON (\w+)", elastic)[1] in COLUMNS
    assert re.search(r"WHERE (\w+) IS NULL", elastic)[1] in COLUMNS


def test_the_document_names_every_column():
    document = (FOLDER / "README.md").read_text()
    assert [name for name in COLUMNS if f"`{name}`" not in document] == []
