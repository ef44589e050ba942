"""IAM user and ambient roots give root credentials or say why not."""

import http.server
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from sessions.aws.errors import AwsError, Rejected, Unavailable, WaitingForPerson
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName
from sessions.aws.roots import ROOT_KINDS, ambient
from sessions.aws.sts import assume_role, caller_identity
from sessions.secret import Secret

REGION = "eu-west-1"
IAM_USER, AMBIENT = ROOT_KINDS["iam-user"], ROOT_KINDS["ambient"]
EXAMPLE_ID, EXAMPLE_SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def base(kind, settings=None, secrets=None, answers=None):
    return kind.get_credentials(settings or {}, secrets or {}, answers or {}, REGION)


def test_an_iam_users_key_is_given_as_it_is(sts):
    key = sts.add_user("ada")
    given = base(
        IAM_USER, {"access_key_id": key.access_key_id}, {"secret_access_key": key.secret_access_key}
    )
    assert given == key
    assert caller_identity(given, REGION).arn == sts.arn_of(key)


def test_a_key_without_its_secret_says_so_at_the_root():
    with pytest.raises(Rejected) as raised:
        base(IAM_USER, {"access_key_id": EXAMPLE_ID})
    assert (raised.value.code, raised.value.hop) == ("NoSecret", 0)


def test_an_mfa_device_asks_for_a_code_and_waits_for_it(sts):
    serial = "arn:aws:iam::111122223333:mfa/ada"
    key = sts.add_user("ada", mfa_device=(serial, "123456"))
    settings = {"access_key_id": key.access_key_id, "mfa_serial": serial}
    secrets = {"secret_access_key": key.secret_access_key}
    assert IAM_USER.challenges({"access_key_id": key.access_key_id}) == ()
    assert [challenge.name for challenge in IAM_USER.challenges(settings)] == ["code"]
    for answers in ({}, {"code": Secret("12345")}, {"code": Secret("١٢٣٤٥٦")}):
        with pytest.raises(WaitingForPerson) as raised:
            base(IAM_USER, settings, secrets, answers)
        assert raised.value.hop == 0
    assert sts.calls == []
    given = base(IAM_USER, settings, secrets, {"code": Secret("123456")})
    arn = sts.add_role(
        "arn:aws:iam::111122223333:role/Protected", trusts=[sts.arn_of(key)], mfa=True
    )
    assert assume_role(Hop(arn, "ada"), given, REGION, 1).arn.endswith("Protected/ada")


def test_an_iam_users_summary_tells_keys_apart_without_telling_them():
    assert IAM_USER.summary({"access_key_id": EXAMPLE_ID}) == "AKIA…MPLE"


def test_an_iam_users_fields_take_iams_values_and_repeat_no_secret():
    fields = {field.name: field for field in IAM_USER.fields}
    assert fields["access_key_id"].validate(EXAMPLE_ID) == EXAMPLE_ID
    assert fields["secret_access_key"].validate(EXAMPLE_SECRET) == EXAMPLE_SECRET
    assert [field.name for field in IAM_USER.fields if field.secret] == ["secret_access_key"]
    with pytest.raises(InvalidName, match="temporary"):
        fields["access_key_id"].validate("ASIAIOSFODNN7EXAMPLE")
    for bad in ("", "AKIA", f"{EXAMPLE_ID}\n", EXAMPLE_ID.lower()):
        with pytest.raises(InvalidName):
            fields["access_key_id"].validate(bad)
    for bad in ("", "hunter2", f"{EXAMPLE_SECRET}\n", f"{EXAMPLE_SECRET} ", f"{EXAMPLE_SECRET}é"):
        with pytest.raises(InvalidName) as refused:
            fields["secret_access_key"].validate(bad)
        assert not bad or bad.strip() not in str(refused.value)


def test_a_code_is_six_ascii_digits_and_its_refusal_does_not_repeat_it():
    (challenge,) = IAM_USER.challenges({"mfa_serial": "arn:aws:iam::111122223333:mfa/ada"})
    assert challenge.validate("012345") == "012345"
    for bad in ("12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n", ""):
        with pytest.raises(InvalidName) as refused:
            challenge.validate(bad)
        assert not bad or bad not in str(refused.value)


def test_without_an_identity_the_worker_says_so_at_the_root():
    with pytest.raises(Rejected) as raised:
        base(AMBIENT)
    assert (raised.value.code, raised.value.hop) == ("NoCredentials", 0)


def test_the_workers_environment_is_its_identity_and_read_anew_each_time(monkeypatch, sts):
    for name in ("first", "second"):
        own = sts.role_session("arn:aws:iam::111122223333:role/Worker", name)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", own.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own.secret_access_key.reveal())
        monkeypatch.setenv("AWS_SESSION_TOKEN", own.session_token.reveal())
        assert caller_identity(base(AMBIENT), REGION).arn.endswith(f"Worker/{name}")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Rejected):
        base(AMBIENT)


def test_no_file_and_no_process_of_a_person_is_the_workers_identity(monkeypatch, tmp_path):
    trap = tmp_path / "file"
    canary = tmp_path / "canary"
    trap.write_text(
        f"[default]\naws_access_key_id = {EXAMPLE_ID}\naws_secret_access_key = {EXAMPLE_SECRET}\n"
        f"credential_process = touch {canary}\n[Credentials]\naws_access_key_id = {EXAMPLE_ID}\n"
        f"aws_secret_access_key = {EXAMPLE_SECRET}\n"
    )
    (tmp_path / ".aws").mkdir()
    for name in ("config", "credentials"):
        (tmp_path / ".aws" / name).write_text(trap.read_text())
    (tmp_path / ".boto").write_text(trap.read_text())
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CREDENTIAL_FILE",
        "BOTO_CONFIG",
    ):
        monkeypatch.setenv(name, str(trap))
    with pytest.raises(Rejected) as raised:
        base(AMBIENT)
    assert raised.value.code == "NoCredentials"
    assert not canary.exists()


class TaskRole(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        status, body = self.server.answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def task_role(monkeypatch):
    """Make a container's credential endpoint on loopback; `answer` gives status and body."""
    with http.server.HTTPServer(("127.0.0.1", 0), TaskRole) as server:
        server.asked = 0
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/creds"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        yield server
        server.shutdown()
        thread.join()


def as_task(credentials, minutes=60):
    ends = datetime.now(UTC) + timedelta(minutes=minutes)
    body = {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal(),
        "Token": credentials.session_token.reveal(),
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return 200, json.dumps(body).encode()


def test_a_tasks_role_is_asked_once_and_again_when_it_runs_out(task_role, sts):
    own = sts.role_session("arn:aws:iam::111122223333:role/Task", "task")
    task_role.answer = lambda: as_task(own)
    first, again = base(AMBIENT), base(AMBIENT)
    assert first == again
    assert task_role.asked == 1
    assert first.expires_at.tzinfo is UTC
    assert caller_identity(first, REGION).arn.endswith("Task/task")
    ambient.forget()
    task_role.answer = lambda: as_task(own, minutes=8)
    base(AMBIENT)
    base(AMBIENT)
    assert task_role.asked >= 3


def test_a_task_role_endpoint_that_is_broken_is_tried_again_later(task_role, monkeypatch):
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    task_role.answer = lambda: (500, b"oops")
    with pytest.raises(Unavailable) as raised:
        base(AMBIENT)
    assert (raised.value.hop, raised.value.retryable) == (0, True)


ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": EXAMPLE_SECRET,
    "AWS_SESSION_TOKEN": "token",
}


def soon(minutes):
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("changes", "code", "cause"),
    [
        (
            {"AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"},
            "AmbientExpired",
            "2020-01-01 00:00 UTC",
        ),
        (
            {"AWS_CREDENTIAL_EXPIRATION": "2020-01-01T02:00:00+02:00"},
            "AmbientExpired",
            "2020-01-01 00:00 UTC",
        ),
        ({"AWS_CREDENTIAL_EXPIRATION": "2120-01-01T00:00:00"}, "AmbientMalformed", "no time zone"),
        ({"AWS_CREDENTIAL_EXPIRATION": "tomorrow"}, "AmbientMalformed", "is not a time"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AmbientIncomplete", "AWS_SECRET_ACCESS_KEY is not"),
        ({"AWS_SESSION_TOKEN": ""}, "AmbientIncomplete", "AWS_SESSION_TOKEN is not set"),
        ({"AWS_SECRET_ACCESS_KEY": f"{EXAMPLE_SECRET}\n"}, "AmbientMalformed", "secret access key"),
        ({"AWS_ACCESS_KEY_ID": "ASIA IOSFODNN7EXAMPLE"}, "AmbientMalformed", "access key id"),
        ({"AWS_SESSION_TOKEN": "to\nken"}, "AmbientMalformed", "session token"),
    ],
)
def test_an_unusable_environment_says_why_and_is_not_tried_again(monkeypatch, changes, code, cause):
    for name, value in (ENVIRONMENT | changes).items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        with pytest.raises(Rejected) as raised:
            base(AMBIENT)
        assert (raised.value.code, raised.value.hop, raised.value.retryable) == (code, 0, False)
        assert cause in raised.value.message
        assert EXAMPLE_SECRET not in str(raised.value)
        assert "restart" in raised.value.check


def test_an_environment_is_used_until_it_ends(monkeypatch):
    for name, value in (ENVIRONMENT | {"AWS_CREDENTIAL_EXPIRATION": soon(1)}).items():
        monkeypatch.setenv(name, value)
    assert base(AMBIENT).expires_at > datetime.now(UTC)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"Expiration": "2020-01-01T00:00:00Z"}, "have expired"),
        ({"Expiration": "2120-01-01T00:00:00"}, "did not return credentials"),
        ({"Expiration": "tomorrow"}, "did not return credentials"),
        ({"Expiration": None}, "did not return credentials"),
        ({"AccessKeyId": ""}, "access key id"),
        ({"AccessKeyId": 7}, "did not return credentials"),
        ({"SecretAccessKey": "a\nb"}, "secret access key"),
        ({"Token": "to\r\nken"}, "session token"),
    ],
)
def test_a_task_role_that_cannot_be_used_says_why_and_is_looked_at_again(
    task_role, sts, changes, cause
):
    own = sts.role_session("arn:aws:iam::111122223333:role/Task", "task")
    good = json.loads(as_task(own)[1])
    for left_out in (False, True):
        body = {
            name: value
            for name, value in (good | changes).items()
            if not left_out or name not in changes
        }
        task_role.answer = lambda body=body: (200, json.dumps(body).encode())
        ambient.forget()
        with pytest.raises(AwsError) as raised:
            base(AMBIENT)
        assert (raised.value.hop, raised.value.retryable) == (0, True)
        assert left_out or cause in raised.value.message
        assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in raised.value.check
        assert own.secret_access_key.reveal() not in f"{raised.value} {raised.value.check}"
    task_role.answer = lambda: as_task(own)
    ambient.forget()
    assert base(AMBIENT).access_key_id == own.access_key_id


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"<html>", b"\xff"])
def test_a_task_role_that_answers_with_something_else_is_looked_at_again(
    task_role, monkeypatch, body
):
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    task_role.answer = lambda: (200, body)
    with pytest.raises(AwsError) as raised:
        base(AMBIENT)
    assert (raised.value.hop, raised.value.retryable) == (0, True)
    assert "credential service" in raised.value.message


def test_a_broken_source_is_not_asked_for_each_hop(task_role, monkeypatch):
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    task_role.answer = lambda: (403, b"secret-canary")
    for _ in range(4):
        with pytest.raises(Unavailable) as raised:
            base(AMBIENT)
        assert "HTTP 403" in raised.value.message
        assert "secret-canary" not in str(raised.value)
    assert task_role.asked == 3


def test_a_task_role_is_used_to_its_end_though_its_service_breaks(task_role, sts, monkeypatch):
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    own = sts.role_session("arn:aws:iam::111122223333:role/Task", "task")
    task_role.answer = lambda: as_task(own, minutes=8)
    base(AMBIENT)
    task_role.answer = lambda: (500, b"")
    assert base(AMBIENT).access_key_id == own.access_key_id


@pytest.mark.parametrize(
    ("environment", "cause"),
    [
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/x"}, "without TLS"),
        ({"AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\n"}, "line break"),
        (
            {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/such/file"},
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such/file"}, "AWS_ROLE_ARN"),
        (
            {
                "AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such",
                "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/Pod",
            },
            "AWS_WEB_IDENTITY_TOKEN_FILE",
        ),
    ],
)
def test_a_source_that_is_set_up_wrongly_is_named(task_role, monkeypatch, environment, cause):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AwsError) as raised:
        base(AMBIENT)
    assert raised.value.hop == 0
    assert cause in raised.value.message


@pytest.mark.parametrize(("seconds", "code"), [(3600, ""), (-1, "ExpiredTokenException")])
def test_a_pods_web_identity_is_asked_for_at_the_region_that_is_called(
    monkeypatch, sts, tmp_path, seconds, code
):
    arn = sts.add_role("arn:aws:iam::111122223333:role/Pod", trusts=["pod"])
    file = tmp_path / "token"
    file.write_text(sts.identity_token("pod", seconds))
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    monkeypatch.setenv("AWS_ROLE_ARN", arn)
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "worker")
    assert AMBIENT.asks_sts({})
    if not code:
        for region in ("eu-west-1", "eu-west-1", "eu-west-2"):
            given = AMBIENT.get_credentials({}, {}, {}, region)
            assert caller_identity(given, REGION).arn.endswith("Pod/worker")
        asked = [call for call in sts.calls if call["action"] == "AssumeRoleWithWebIdentity"]
        assert len(asked) == 2  # one for each region
        return
    with pytest.raises(Rejected) as raised:
        base(AMBIENT)
    assert (raised.value.code, raised.value.retryable) == (code, True)
    assert raised.value.message == "The token in the file has expired."


def test_a_machine_without_an_identity_is_not_asked_for_each_hop(monkeypatch):
    asked = []

    def look(self):
        asked.append(self)

    monkeypatch.setattr("botocore.credentials.InstanceMetadataProvider.load", look)
    for _ in range(3):
        with pytest.raises(Rejected):
            base(AMBIENT)
    assert len(asked) == 1
