import pytest

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
