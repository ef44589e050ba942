"""Verify AWS Signature Version 4 of an HTTP request, written from the specification.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256"
    r" Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


LARGEST_SKEW_SECONDS = 15 * 60
DATE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Signed:
    """Hold what an Authorization header claims."""

    access_key_id: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def parse(authorization: str) -> Signed | None:
    match = _AUTHORIZATION.fullmatch(authorization)
    if not match:
        return None
    headers = tuple(match["headers"].split(";"))
    return Signed(
        match["key"], match["date"], match["region"], match["service"], headers, match["signature"]
    )


def canonical_request(
    signed: Signed, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> str:
    path, _, query = target.partition("?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    quoted = sorted(
        (urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in pairs
    )
    return "\n".join(
        [
            method,
            path or "/",
            "&".join(f"{k}={v}" for k, v in quoted),
            *(f"{name}:{' '.join((headers.get(name) or '').split())}" for name in signed.headers),
            "",
            ";".join(signed.headers),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def is_right(signed: Signed, canonical: str, amz_date: str, secret: str) -> bool:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{amz_date}\n{signed.scope}\n{digest}"
    key = _signing_key(secret, signed.date, signed.region, signed.service)
    return hmac.compare_digest(
        hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), signed.signature
    )


def out_of_time(amz_date: str, now: float) -> str:
    """Return AWS's message for a request signed too long ago or ahead; empty otherwise."""
    signed_at = datetime.strptime(amz_date, DATE).replace(tzinfo=UTC).timestamp()
    if abs(now - signed_at) <= LARGEST_SKEW_SECONDS:
        return ""
    at, earliest, latest = (
        datetime.fromtimestamp(moment, UTC).strftime(DATE)
        for moment in (now, now - LARGEST_SKEW_SECONDS, now + LARGEST_SKEW_SECONDS)
    )
    if signed_at < now:
        return f"Signature expired: {amz_date} is now earlier than {earliest} ({at} - 15 min.)"
    return f"Signature not yet current: {amz_date} is still later than {latest} ({at} + 15 min.)"


@lru_cache(maxsize=4096)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
