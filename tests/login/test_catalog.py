"""Hold allauth's texts in our words: the catalog in sessions/locale."""

import ast
import gettext
import re
from importlib import resources
from pathlib import Path

import allauth
from django.conf import settings
from django.urls import reverse

OURS = Path(settings.BASE_DIR, "sessions/locale/en/LC_MESSAGES")
THEIRS = Path(str(resources.files(allauth)), "locale/en/LC_MESSAGES/django.po")


def messages_in(path):
    """Return {text: translation} of a catalog's source."""
    found = {}
    for entry in re.split(r"\n\s*\n", path.read_text("utf-8")):
        parts = re.split(r"^(msgid|msgstr)\s", "\n".join(uncommented(entry)), flags=re.MULTILINE)
        if parts[1::2] == ["msgid", "msgstr"]:
            text, translation = (ast.literal_eval(f"({part})") for part in parts[2::2])
            found[text] = translation
    return found


def uncommented(entry):
    return [line for line in entry.splitlines() if not line.startswith("#")]


def test_the_compiled_catalog_is_that_of_its_source():
    with (OURS / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    source = messages_in(OURS / "django.po")
    assert len(source) > 100
    assert {text: compiled.gettext(text) for text in source if text} == {
        text: translation for text, translation in source.items() if text
    }


def test_every_text_of_the_catalog_is_one_of_allauths():
    unknown = set(messages_in(OURS / "django.po")) - set(messages_in(THEIRS))
    assert not unknown


def test_allauths_pages_use_our_words(house):
    browser = house.browser()
    page = browser.get(reverse("mfa_index")).content.decode()
    assert "Two-factor authentication" in page
    assert "Two-Factor" not in page
    page = browser.get(reverse("account_change_password")).content.decode()
    assert "Current password" in page
    assert "Change password" in page
