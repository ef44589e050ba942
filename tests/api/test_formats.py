import pytest
from botocore.configloader import load_config

from sessions.ledger.events.credentials import CredentialRevealed
from sessions.models import AwsSession
from sessions.snippets import FORMATS
from tests.api.tool import Api

pytestmark = pytest.mark.django_db


def test_the_formats_are_listed_in_the_order_of_the_pages(house):
    answer = Api(house.token(house.ben))("GET", "/formats")
    assert answer.status_code == 200
    listed = answer.json()
    assert [each["key"] for each in listed] == list(FORMATS)
    posix = next(each for each in listed if each["key"] == "posix")
    assert posix == {
        "key": "posix",
        "label": "bash, zsh",
        "group": "Shell",
        "filename": "chainweb.sh",
        "language": "sh",
        "secret": True,
        "systems": ["macos", "linux"],
        "help": FORMATS["posix"].help,
        "has_undo": True,
    }


def test_the_config_file_has_a_profile_for_each_session_and_no_secret(house, tmp_path):
    first, second, third = house.chain(3)
    AwsSession.objects.filter(pk=first.pk).update(profile="dev")
    AwsSession.objects.filter(pk=second.pk).update(profile="dev", open_to_start=False)
    AwsSession.objects.filter(pk=third.pk).update(profile="dev")
    house.start(first)
    house.work()
    answer = Api(house.token(house.ben))("GET", "/config?format=aws-config")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    file = tmp_path / "config"
    file.write_bytes(answer.content)
    profiles = load_config(str(file))["profiles"]
    assert len(profiles) == 2
    assert "dev" in profiles
    for session in (first, third):
        assert sum(str(session.pk) in str(each) for each in profiles.values()) == 1
    assert str(second.pk) not in answer.content.decode()
    assert house.events(CredentialRevealed) == []
    assert Api(house.token(house.ben))("GET", "/config").content == answer.content


def test_a_config_file_of_another_format_is_refused(house):
    answer = Api(house.token(house.ben))("GET", "/config?format=yaml")
    assert answer.status_code == 422
    assert answer.json()["fields"] == {"format": ["One of: aws-config."]}
