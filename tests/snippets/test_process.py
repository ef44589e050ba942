import json
from datetime import UTC, datetime, timedelta, timezone

from botocore.credentials import ProcessProvider

from sessions.snippets import FORMATS
from tests.snippets.hostile import snippet, texts

render = FORMATS["process"].render


class Printed:
    """Hold a process that has printed the text."""

    returncode = 0

    def __init__(self, text):
        self.text = text

    def communicate(self):
        return self.text.encode(), b""


def load_by_botocore(text):
    """Read what a credential_process prints by botocore's own reader."""
    provider = ProcessProvider(
        "dev",
        lambda: {"profiles": {"dev": {"credential_process": "anything"}}},
        popen=lambda *_, **__: Printed(text),
    )
    return provider.load()


def test_ten_thousand_hostile_values_are_read_back_by_botocore():
    hostile = texts(5)
    end = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    for _ in range(3_400):
        key_id, secret, token = (hostile.printed() for _ in range(3))
        read = load_by_botocore(
            render(snippet(key_id, secret, token, expires_at=end))
        ).get_frozen_credentials()
        assert (read.access_key, read.secret_key, read.token) == (key_id, secret, token)


def test_the_version_is_a_number_and_the_end_is_utc_rounded_down():
    east = timezone(timedelta(hours=2))
    answer = json.loads(
        render(snippet(expires_at=datetime(2026, 11, 24, 14, 30, 15, 999_999, tzinfo=east)))
    )
    assert answer == {
        "Version": 1,
        "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "SessionToken": "AQoDYXdzEJr1K==",
        "Expiration": "2026-11-24T12:30:15Z",
        "AccountId": "111122223333",
    }


def test_a_long_lived_key_has_neither_token_nor_end():
    answer = json.loads(render(snippet(token=None, expires_at=None)))
    assert list(answer) == ["Version", "AccessKeyId", "SecretAccessKey", "AccountId"]
