"""The IAM user and the ambient root give base credentials or say why not. The contract of all is in test_root_contract."""

import http.server
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from sessions.aws.errors import Refused, Unavailable, WaitingForPerson
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName
from sessions.aws.roots import ROOT_KINDS, ambient
from sessions.aws.sts import assume_role, caller_identity
from sessions.secret import Secret

REGION = "eu-west-1"
IAM_USER, AMBIENT = ROOT_KINDS["iam-user"], ROOT_KINDS["ambient"]
EXAMPLE_ID, EXAMPLE_SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def base(kind, settings=None, secrets=None, answers=None):
    return kind.base_credentials(settings or {}, secrets or {}, answers or {}, REGION)


def test_an_iam_users_key_is_given_as_it_is(sts):
    key = sts.add_user("ada")
    given = base(IAM_USER, {"access_key_id": key.access_key_id}, {"secret_access_key": key.secret_access_key})
    assert given == key
    assert caller_identity(given, REGION).arn == sts.arn_of(key)


def test_a_key_without_its_secret_says_so_at_the_root():
    with pytest.raises(Refused) as raised:
        base(IAM_USER, {"access_key_id": EXAMPLE_ID})
    assert (raised.value.code, raised.value.hop) == ("NoSecret", 0)


def test_an_mfa_device_asks_for_a_code_and_waits_for_it(sts):
    serial = "arn:aws:iam::111122223333:mfa/ada"
    key = sts.add_user("ada", mfa_device=(serial, "123456"))
    settings = {"access_key_id": key.access_key_id, "mfa_serial": serial}
    secrets = {"secret_access_key": key.secret_access_key}
    assert IAM_USER.asks({"access_key_id": key.access_key_id}) == ()
    assert [ask.name for ask in IAM_USER.asks(settings)] == ["code"]
    for answers in ({}, {"code": Secret("12345")}, {"code": Secret("١٢٣٤٥٦")}):
        with pytest.raises(WaitingForPerson) as raised:
            base(IAM_USER, settings, secrets, answers)
        assert raised.value.hop == 0
    assert sts.calls == []
    given = base(IAM_USER, settings, secrets, {"code": Secret("123456")})
    arn = sts.add_role("arn:aws:iam::111122223333:role/Protected", trusts=[sts.arn_of(key)], mfa=True)
    assert assume_role(Hop(arn, "ada"), given, REGION, 1).arn.endswith("Protected/ada")


def test_an_iam_users_summary_tells_keys_apart_without_telling_them():
    assert IAM_USER.summary({"access_key_id": EXAMPLE_ID}) == "AKIA…MPLE"


def test_an_iam_users_fields_take_what_iam_gives_and_refuse_the_rest_without_repeating_a_secret():
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
    (ask,) = IAM_USER.asks({"mfa_serial": "arn:aws:iam::111122223333:mfa/ada"})
    assert ask.validate("012345") == "012345"
    for bad in ("12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n", ""):
        with pytest.raises(InvalidName) as refused:
            ask.validate(bad)
        assert not bad or bad not in str(refused.value)


def test_without_an_identity_the_worker_says_so_at_the_root():
    with pytest.raises(Refused) as raised:
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
    with pytest.raises(Refused):
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
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_FILE", "BOTO_CONFIG"):
        monkeypatch.setenv(name, str(trap))
    with pytest.raises(Refused) as raised:
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
    """A container's credential endpoint on loopback; `answer` gives status and body."""
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


def test_a_machine_without_an_identity_is_not_asked_for_each_hop(monkeypatch):
    asked = []

    def look(self):
        asked.append(self)

    monkeypatch.setattr("botocore.credentials.InstanceMetadataProvider.load", look)
    for _ in range(3):
        with pytest.raises(Refused):
            base(AMBIENT)
    assert len(asked) == 1
