"""A real Chromium against the real pages; whatever it complains about fails the test."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from playwright.sync_api import Browser, Page, sync_playwright

from tests.house import browser_of

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WAIT_MILLISECONDS = 10_000


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium():
    # The first has no windows, for each of which the others start two processes of their own.
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium here, and CI has to have one.")
        pytest.skip("There is no Chromium here.")
    # Playwright keeps an event loop in this thread; the tests call the ORM beside it, one thing at
    # a time.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Tabs:
    """Open tabs, each in a browser profile of its own, and hear all their complaints."""

    chromium: Browser
    address: str
    complaints: list[str] = field(default_factory=list)
    # Complaints with one of these in them belong to what the test does. htmx calls it an error when
    # a page is left, or a search typed on, while its request is under way; a request that really
    # fails has a name of its own.
    expected: list[str] = field(default_factory=lambda: ["htmx:afterRequest", "htmx:sendAbort"])

    def open(self, member=None, **options) -> Page:
        """Make a tab of a logged-in member, or of nobody yet."""
        context = self.chromium.new_context(
            base_url=self.address, permissions=["clipboard-read", "clipboard-write"], **options
        )
        context.set_default_timeout(WAIT_MILLISECONDS)
        if member is not None:
            context.add_cookies(
                [
                    {
                        "name": settings.SESSION_COOKIE_NAME,
                        "value": log_in(member),
                        "url": self.address,
                    }
                ]
            )
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        return page

    def _heard(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(
                f"{message.type}: {message.text} ({message.location.get('url', '')})"
            )

    def _dialog(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def unexpected(self) -> list[str]:
        return [
            each for each in self.complaints if not any(known in each for known in self.expected)
        ]


def log_in(member) -> str:
    """Return the value of a session cookie."""
    return browser_of(member).cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def tabs(chromium, live_server):
    tabs = Tabs(chromium, live_server.url)
    yield tabs
    for context in chromium.contexts:
        context.close()
    assert tabs.unexpected() == []


@pytest.fixture
def house(lasting_house):
    return lasting_house


@pytest.fixture(scope="session", autouse=True)
def static_files_are_there():
    assert finders.find("chainweb/css/tokens.css")
