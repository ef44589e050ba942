"""Whatever is sent as a file gets a clear answer, and no secret comes back."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.imports.reading import FORMATS
from tests.api.test_fuzz import ODD, sound
from tests.api.tool import Api

pytestmark = pytest.mark.django_db
FUZZ = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
CANARY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

NAMES = st.sampled_from(["a", "b", "c", "default", '"d e"', "ü", "DEFAULT", "a]", "x" * 200])
VALUES = st.one_of(
    st.sampled_from(
        [
            *("a", "b", "default", "arn:aws:iam::111122223333:role/R", "arn:aws-cn:iam::1:role/R"),
            *("111122223333", "eu-west-1", "nowhere", "https://a.awsapps.com/start", CANARY, ""),
            *("AKIAIOSFODNN7EXAMPLE", "Ec2InstanceMetadata", "{username}", "{{ .X }}", "\n  k = v"),
        ]
    ),
    st.text(max_size=20),
)
SETTINGS = st.sampled_from(
    [
        *("role_arn", "source_profile", "credential_source", "region", "external_id"),
        *("role_session_name", "mfa_serial", "duration_seconds", "aws_access_key_id"),
        *("aws_secret_access_key", "sso_session", "sso_start_url", "sso_region", "sso_account_id"),
        *("sso_role_name", "include_profile", "session_tags", "transitive_session_tags", "s3"),
        *("credential_process", "web_identity_token_file", "login_session", "aws_session_token"),
    ]
)
SECTION = st.tuples(
    st.sampled_from(["profile ", "sso-session ", "services ", ""]),
    NAMES,
    st.dictionaries(SETTINGS, VALUES, max_size=6),
)
INI = st.lists(SECTION, max_size=6).map(
    lambda sections: "\n".join(
        "\n".join([f"[{kind}{name}]", *(f"{key} = {value}" for key, value in values.items())])
        for kind, name, values in sections
    )
)


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


def asked(ada, text, form="", **more):
    body = {"files": [{"name": "config", "text": text, "format": form}], **more}
    answer = ada("POST", "/import", json.loads(json.dumps(body).encode("utf-8", "replace")))
    sound(answer, body)
    assert CANARY not in answer.content.decode()
    return answer


@FUZZ
@given(text=st.one_of(INI, st.text(max_size=200)), form=st.sampled_from(["", *FORMATS]))
def test_any_text_gets_a_preview_or_a_reason(ada, text, form):
    answer = asked(ada, text, form)
    if answer.status_code == 200:
        for row in answer.json()["rows"]:
            assert (row["state"] == "refused") == bool(row["problems"])
        for note in answer.json()["refused"]:
            assert note["line"] >= 0
            assert note["message"]


@FUZZ
@given(text=INI)
def test_any_file_is_imported_or_refused_whole(ada, text):
    answer = asked(ada, text, dry_run=False)
    assert answer.status_code in (200, 422)


@FUZZ
@given(value=st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
@pytest.mark.parametrize("name", ["files", "choose", "keys", "use", "dry_run", "more"])
def test_a_field_of_anything_is_refused_or_taken(ada, name, value):
    body = {"files": [{"text": "[profile a]\n"}], name: value}
    try:
        sent = json.loads(json.dumps(body).encode("utf-8", "replace"))
    except UnicodeError:
        return
    sound(ada("POST", "/import", sent), body)
