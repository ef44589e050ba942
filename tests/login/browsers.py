"""Log in by browser, with an authenticator's codes where one is set up."""

import base64
import hmac
import re
import struct
import time
from hashlib import sha1

from django.urls import reverse

from tests.house import PASSWORD


def log_in(client, username="ben", password=PASSWORD, **headers):
    return client.post(
        reverse("account_login"), {"login": username, "password": password}, headers=headers
    )


def code_of(secret, at=None):
    """RFC 6238, as an authenticator app does it."""
    counter = struct.pack(">Q", int((at or time.time()) // 30))
    digest = hmac.digest(base64.b32decode(secret), counter, sha1)
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def with_totp(house):
    """Return Ben's browser after he has set up an authenticator, and its secret."""
    ben = house.browser()
    page = ben.get(reverse("mfa_activate_totp")).content.decode()
    secret = re.search(r'value="([A-Z2-7]{16,})"', page)[1]
    answer = ben.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert answer.status_code == 302, answer.content.decode()
    return ben, secret


def recovery_codes(house):
    ben = house.browser()
    page = ben.get(reverse("mfa_view_recovery_codes")).content.decode()
    return re.search(r"<textarea[^>]*>([^<]+)</textarea>", page)[1].split()
