import pytest

from sessions.snippets import FORMATS
from sessions.snippets.fitting import CONTAINER, PROCESS, fit_of


@pytest.mark.parametrize(
    ("url", "is_private", "form"),
    [
        ("https://chainweb.example/", False, CONTAINER),
        ("https://chainweb.example/", True, PROCESS),
        ("http://chainweb.example/", False, ""),
        ("http://chainweb.example/", True, ""),
        ("http://localhost:8000/", False, CONTAINER),
        ("http://127.0.0.1:8000/", True, CONTAINER),
        ("http://[::1]:8000/", False, CONTAINER),
        ("http://127.0.0.1.evil.example/", False, ""),
    ],
)
def test_the_form_follows_from_address_and_certificate(url, is_private, form):
    assert fit_of(url, is_private_ca=is_private).form == form


def test_the_forms_are_formats():
    assert {CONTAINER, PROCESS} <= FORMATS.keys()
