"""Keep pages that have got hold of a token from using it.

From whatever origin they ask.
"""

import http.server
import threading
from urllib.parse import urlsplit

import pytest

from sessions.ledger.events.credentials import CredentialRevealed

FETCH = """async ([url, token]) => {
  try {
    const headers = {Authorization: `Bearer ${token}`};
    const answer = await fetch(url, {headers, referrerPolicy: "no-referrer"});
    return [answer.status, await answer.text()];
  } catch (error) {
    return [0, String(error)];
  }
}"""


@pytest.fixture
def ready(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    return f"/api/v1/sessions/{leaf.pk}/credentials", house.token().reveal()


@pytest.fixture
def elsewhere():
    """Serve a page of somebody else's."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>x</title>")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_page_of_our_own_origin_is_refused(house, tabs, ready):
    path, token = ready
    tabs.expected.append("403")
    page = tabs.open(house.ben)
    page.goto("/")
    status, text = page.evaluate(FETCH, [path, token])
    assert status == 403, text
    assert '"code": "browser"' in text
    assert house.events(CredentialRevealed) == []


def test_a_page_of_another_origin_never_sees_an_answer(house, tabs, ready, elsewhere, live_server):
    path, token = ready
    tabs.expected += ["CORS", "405", "Failed to load resource"]
    page = tabs.open()
    page.goto(elsewhere)
    status, text = page.evaluate(FETCH, [f"{live_server.url}{path}", token])
    assert (status, "Failed to fetch" in text) == (0, True)
    assert house.events(CredentialRevealed) == []


def test_a_name_that_was_rebound_to_us_is_no_host_of_ours(house, tabs, ready, live_server):
    path, token = ready
    tabs.expected += ["400", "Failed to load resource"]
    # localhost and its subdomains resolve to this machine, as a rebound name would.
    port = urlsplit(live_server.url).port
    page = tabs.open()
    page.goto(f"http://evil.localhost:{port}/")
    status, text = page.evaluate(FETCH, [path, token])
    assert status == 400, text
    assert "bad_host" in text
    assert house.events(CredentialRevealed) == []
