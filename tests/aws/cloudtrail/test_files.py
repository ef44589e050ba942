"""Files and pasted text of every form are read, and what is broken is said with its place."""

import csv
import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions.aws.cloudtrail import files, jsonstream, window
from sessions.aws.cloudtrail.files import Unreadable, read_stream, read_text
from sessions.aws.cloudtrail.records import Record
from tests.aws.cloudtrail.samples import assumed, event, role, sso, user
from tests.examples import examples

MANY = [event(eventID=f"e-{number}") for number in range(5)]
LINES = "\n".join(json.dumps(found) for found in MANY)
ONE = json.dumps(event())


def read_bytes(content, **more):
    return list(read_stream(io.BytesIO(content), "log", **more))


def ids(found):
    assert all(isinstance(item, Record) for item in found), found
    return [item.event_id for item in found]


def problem(found):
    (wrong,) = [item for item in found if isinstance(item, Unreadable)]
    return wrong.line, wrong.column, wrong.reason


FORMS = {
    "a log file": json.dumps({"Records": MANY}),
    "a log file printed nicely": json.dumps({"Records": MANY}, indent=2),
    "an array": json.dumps(MANY),
    "lines": LINES,
    "lines of Windows": LINES.replace("\n", "\r\n") + "\r\n",
    "values one after the other": LINES.replace("\n", ""),
    "part of an array": LINES.replace("\n", ",\n") + ",",
    "two log files": json.dumps({"Records": MANY[:2]}) + json.dumps({"Records": MANY[2:]}),
    "a page of LookupEvents": json.dumps(
        {"NextToken": "x", "Events": [{"CloudTrailEvent": json.dumps(one)} for one in MANY]}
    ),
    "keys before and behind": json.dumps({"a": [1], "Records": MANY, "b": {"c": [2]}}),
    "lines of a log": "\n".join(f"group/a 1_CloudTrail [x] {json.dumps(one)} end" for one in MANY),
    "long and escaped names": json.dumps({"k" * 5000: 1, '\u00e9"': [], "Records": MANY}),
    "a JSON string": json.dumps(json.dumps({"Records": MANY})),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_file_gives_its_records(form):
    expected = [f"e-{number}" for number in range(5)]
    assert ids(read_text(FORMS[form])) == expected
    assert ids(read_bytes(FORMS[form].encode())) == expected
    assert ids(read_bytes(gzip.compress(FORMS[form].encode()))) == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_it_makes_no_difference_where_the_text_is_cut_into_pieces(form, size):
    pieces = (FORMS[form][at : at + size] for at in range(0, len(FORMS[form]), size))
    in_pieces = list(jsonstream.Values(window.Text(pieces)))
    assert in_pieces == list(jsonstream.Values(window.Text([FORMS[form]])))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_each_encoding_is_read(encoding):
    assert ids(read_bytes(FORMS["lines"].encode(encoding)))[4] == "e-4"


def test_gzip_may_be_packed_twice_and_in_parts():
    packed = gzip.compress(FORMS["lines"].encode())
    assert len(ids(read_bytes(gzip.compress(packed)))) == 5
    assert len(ids(read_bytes(packed + gzip.compress(ONE.encode())))) == 6


def test_a_record_says_where_it_stands():
    found = read_text(json.dumps({"Records": MANY}, indent=1), "a.json")
    assert [item.where.index for item in found] == [0, 1, 2, 3, 4]
    assert found[0].where.file == "a.json"
    assert (found[0].where.line, found[0].where.column) == (3, 3)
    lines = read_text(LINES)
    assert [item.where.line for item in lines] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ('{"eventName": "A"\n "eventTime": 1}', 2, 2, jsonstream.NO_COMMA),
        ('{"eventName": "A\nB"}', 1, 17, jsonstream.RAW_BREAK),
        ('{\n"userIdentity": {"a": "b"', 2, 26, jsonstream.CUT_OFF),
        ('{"Records": [{"eventName": "A", "eventVersion": "1', 1, 49, jsonstream.CUT_OFF),
        ('{"Records": [', 1, 14, jsonstream.CUT_OFF),
        ('{"Records": [\n{"eventVersion": 1 2}]}', 2, 20, jsonstream.NO_COMMA),
        ('[{"eventVersion": "1"}, ', 1, 25, jsonstream.CUT_OFF),
        ('{"eventVersion": tru', 1, 18, jsonstream.CUT_OFF),
        ('{"eventVersion": "\\x"}', 1, 19, jsonstream.BAD_ESCAPE),
        ('{"eventVersion": }', 1, 18, jsonstream.NO_VALUE),
        ('[{"eventVersion": "1"} {"eventVersion": "1"}]', 1, 24, jsonstream.NO_COMMA),
        ('[{"eventVersion": "1"},]', 1, 24, jsonstream.NO_VALUE),
        ("[,]", 1, 2, jsonstream.NO_VALUE),
        ('{"x": 1,}', 1, 9, jsonstream.NO_NAME),
        ('{"x": 1 "y": 2}', 1, 9, jsonstream.NO_COMMA),
        ('{"x" 1}', 1, 6, jsonstream.NO_NAME),
        ('{"x"', 1, 5, jsonstream.CUT_OFF),
        ("words", 1, 1, jsonstream.NO_JSON),
        ("'", 1, 1, jsonstream.NO_JSON),
        ('{"x": ' + "[" * 100_000, 1, 7, jsonstream.TOO_DEEP),
        ('{"eventVersion": ' + "7" * 5000 + "}", 1, 1, jsonstream.TOO_MANY_DIGITS),
        ("", 1, 1, "There is nothing in it."),
        (" \n\t", 1, 1, "There is nothing in it."),
        ("{'eventName': 'A'}", 1, 2, jsonstream.NO_NAME),
    ],
)
def test_broken_text_is_said_with_line_and_column(text, line, column, reason):
    found = problem([item for item in read_text(text) if isinstance(item, Unreadable)])
    assert found[0] == line
    assert found[2] == reason
    assert abs(found[1] - column) <= (2 if reason == jsonstream.CUT_OFF else 0)


def test_a_record_that_is_cut_off_is_not_half_read():
    text = f"group stream {ONE[:200]}"
    assert problem(read_text(text))[2] == jsonstream.CUT_OFF
    assert len(read_text(text)) == 1


@pytest.mark.parametrize("form", ["a log file printed nicely", "keys before and behind", "lines"])
def test_a_file_cut_off_anywhere_gives_whole_records_and_says_so(form):
    text = FORMS[form]
    whole = ids(read_text(text))
    for cut in range(1, len(text) - 1, 7):
        found = read_text(text[:cut])
        records = [item.event_id for item in found if isinstance(item, Record)]
        assert records == whole[: len(records)]
        at_the_end_of_a_line = form == "lines" and text[cut - 1 : cut + 1] in ("}\n", "\n{")
        assert at_the_end_of_a_line or problem(found)[2] == jsonstream.CUT_OFF


def test_the_lines_behind_a_broken_one_are_read():
    broken = LINES.replace('"e-2"', '"e-2')
    found = read_text(broken)
    assert [item.event_id for item in found if isinstance(item, Record)] == [
        *("e-0", "e-1"),
        *("e-3", "e-4"),
    ]
    assert problem(found)[0] == 3


def test_records_before_a_broken_one_in_a_log_file_are_read():
    text = json.dumps({"Records": MANY}).replace('"e-2"', '"e-2')
    found = read_text(text)
    assert [item.event_id for item in found if isinstance(item, Record)] == ["e-0", "e-1"]
    assert problem(found)[0] == 1


def test_text_with_escaped_or_doubled_quotes_is_read():
    policy = event(requestParameters={"policy": '{"Version": "1"}\n'})
    escaped = json.dumps(json.dumps(policy, indent=1))[1:-1]
    assert read_text(escaped)[0].request == policy["requestParameters"]
    doubled = '"' + ONE.replace('"', '""') + '"'
    assert read_text(doubled)[0].event_name == "ListBuckets"


def test_markdown_and_a_part_of_a_record_are_read():
    fenced = f"```json\n{json.dumps(event(), indent=1)}\n```\n"
    assert ids(read_text(fenced)) == [event()["eventID"]]
    part = f'"userIdentity": {json.dumps(role("ada"))},\n"eventName": "A",\n'
    assert read_text(part)[0].identity.session_name == "ada"


def test_a_paste_has_an_upper_limit():
    assert "longer" in problem(read_text(" " * (files.LONGEST_PASTE + 1)))[2]


def table(*rows, delimiter=","):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    return written.getvalue()


IDENTITY = (
    "{type=AssumedRole, principalid=AROADBQP57FF2AEXAMPLE:a@b_c, arn=arn:aws:sts::111122223333:"
    "assumed-role/Deploy/a@b_c, accountid=111122223333, invokedby=null, accesskeyid=ASIAIOSFODNN7"
    "EXAMPLE, sessioncontext={attributes={mfaauthenticated=false, creationdate=2026-07-01T08:00:00Z"
    "}, sessionissuer={type=Role, arn=arn:aws:iam::111122223333:role/Deploy, username=Deploy}}}"
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_athena_is_read_row_by_row(delimiter):
    header = ["eventname", "useridentity", "requestparameters", "resources", "errorcode"]
    row = ["ListBuckets", IDENTITY, '{"bucketName":"b"}', "[{arn=arn:x, accountid=1}]", ""]
    found = read_text(table(header, row, row, delimiter=delimiter))
    assert len(ids(found)) == 2
    assert found[0].identity.role_name == "Deploy"
    assert found[0].identity.session_name == "a@b_c"
    assert found[0].identity.access_key_id == "ASIAIOSFODNN7EXAMPLE"
    assert found[0].identity.created_at.hour == 8
    assert found[0].request == {"bucketName": "b"}
    assert [item.where.line for item in found] == [2, 3]


def test_a_table_of_the_identity_alone_is_read():
    found = read_text(table(["useridentity"], [IDENTITY]))
    assert found[0].identity.session_name == "a@b_c"


@pytest.mark.parametrize("column", ["@message", "_raw", "CloudTrailEvent", "eventData"])
def test_a_table_of_json_cells_is_read(column):
    found = read_text(table(["@timestamp", column], ["x", ONE]))
    assert ids(found) == [event()["eventID"]]


def test_the_table_of_cloudtrails_console_is_read():
    header = ["Event ID", "Event name", "Event time", "User name", "AWS access key", "Event source"]
    row = ["e-1", "AssumeRole", "2026-07-01T08:00:00Z", "ada", "ASIAIOSFODNN7EXAMPLE", "sts"]
    found = read_text(table(header, row))[0]
    assert (found.event_id, found.event_name) == ("e-1", "AssumeRole")
    assert found.identity.access_key_id == "ASIAIOSFODNN7EXAMPLE"


def test_a_table_without_rows_says_so():
    assert problem(read_text("eventname,useridentity\n"))[2] == "The table has no rows."


def test_a_broken_cell_of_a_table_is_said_with_its_line():
    found = read_text(table(["@message"], [ONE], ['{"eventName": ']))
    assert problem(found)[0] == 3


@pytest.mark.parametrize("mark", files._PACKED)
def test_other_packings_are_named(mark):
    assert problem(read_bytes(mark + b"\x00" * 50))[2].startswith("This is")


def test_a_packed_file_that_is_cut_off_or_damaged_is_said():
    packed = gzip.compress(FORMS["lines"].encode())
    assert any("cut off" in str(item) for item in read_bytes(packed[:-12]))
    damaged = packed[:60] + b"\xff\xff\xff" + packed[63:]
    assert any("damaged" in str(item) for item in read_bytes(damaged))


def test_a_file_that_unpacks_to_more_than_allowed_is_refused():
    bomb = gzip.compress(b" " * 20_000_000)
    assert (
        "bytes, unpacked"
        in problem(
            [item for item in read_bytes(bomb, largest=1_000_000) if "nothing" not in str(item)]
        )[2]
    )


def test_reading_stops_where_a_file_is_none_of_cloudtrails():
    found = read_text("words\n" * 5000)
    assert len(found) == files.MOST_ERRORS + 1
    assert found[-1].reason.startswith("Too many errors")


def test_a_value_larger_than_any_record_is_refused(monkeypatch):
    monkeypatch.setattr(jsonstream, "LARGEST_VALUE", 100_000)
    text = '{"eventVersion": "' + "x" * 3_000_000
    assert problem(read_bytes(text.encode()))[2] == jsonstream.TOO_LARGE


def test_a_user_agent_of_a_megabyte_is_cut():
    found = read_bytes(json.dumps(event(userAgent="x" * 1_000_000)).encode())
    assert len(found[0].user_agent) < 10_000


def test_a_long_log_file_is_read_in_constant_memory():
    record = json.dumps(assumed(sso(), asked={"policy": "x" * 20_000})).encode()
    parts = [b'{"Records": [', *[record + b","] * 999, record, b"]}"]
    packed = gzip.compress(b"".join(parts), 1)
    length = sum(map(len, parts))
    del parts
    tracemalloc.start()
    count = sum(isinstance(item, Record) for item in read_stream(io.BytesIO(packed), "log"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1000
    assert peak < 5_000_000 < length / 4


def test_nothing_of_a_file_is_printed_for_its_secrets():
    assert "TOKEN" not in repr(
        read_text(json.dumps({"Records": [assumed(role()), assumed(user())]}))
    )


PIECES = st.sampled_from(
    [
        *("{", "}", "[", "]", ",", ":", '"', "\\", "\n", "null", "1", "1e999", "NaN", "\x00", " "),
        *('"Records"', '{"Records": [', '"detail":', '"eventVersion": "1"', '"userIdentity":'),
        *(
            "\ud800",
            "\\ud800",
            "words",
            "eventname,useridentity\n",
            '{"message": "{\\"a\\"',
            "H4sI",
        ),
        *(
            ONE,
            IDENTITY,
            json.dumps(ONE),
            '{"aws.cloudtrail.x": [1]}',
            '{"api": 1, "class_uid": 1}',
        ),
    ]
)


@settings(max_examples=examples(600))
@given(st.lists(PIECES, max_size=12))
def test_no_text_makes_reading_fail(pieces):
    text = "".join(pieces)
    read_text(text)
    read_bytes(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=examples(200))
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x1f\x8b\x08\x00", b"\xff\xfe", b"\xfe\xff"])
)
def test_no_bytes_make_reading_fail(content, mark):
    read_bytes(mark + content)
