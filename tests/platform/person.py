"""Act as a person at a browser, without a screen.

Logs in with a password, keeps cookies, downloads snippets.
"""

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request


class Person:
    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.ProxyHandler({})
        )

    def log_in(self, name: str, password: str) -> None:
        self.get("/accounts/login/")
        page = self.post("/accounts/login/", login=name, password=password)
        assert "/accounts/logout/" in page, "not logged in"

    def get(self, path: str) -> str:
        return self._read(urllib.request.Request(self.address + path))

    def post(self, path: str, **fields: str) -> str:
        [token] = [
            each.value
            for each in self.cookies
            if re.fullmatch(r"(__Host-)?csrftoken-\w+", each.name)
        ]
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        return self._read(urllib.request.Request(self.address + path, body))

    def _read(self, request: urllib.request.Request) -> str:
        try:
            with self._opener.open(request, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code == 422:  # a form that shows what is wrong with it
                return str(error.read().decode())
            raise AssertionError(
                f"{request.get_method()} {request.full_url}: {error.code}"
            ) from error
