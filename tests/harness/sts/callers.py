"""Decide whose request it is: the signature, its time, the key and its region."""

from typing import TYPE_CHECKING

from sessions.aws.regions import is_opt_in
from tests.harness.http_server import Request
from tests.harness.sts import signature
from tests.harness.sts.rules import Key, Refusal

if TYPE_CHECKING:
    from tests.harness.sts.server import FakeSts

EXPIRED = "The security token included in the request is expired"


def caller_of(sts: "FakeSts", signed: signature.Signed | None, request: Request) -> Key:
    """Return the key of a request, if the signature is right and the key alive.

    Raises `Refusal` with AWS's code.
    """
    headers = request.headers
    if not headers.get("authorization"):
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token")
    token = headers.get("x-amz-security-token")
    must_sign = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
    if (
        signed is None
        or not must_sign.issubset(signed.headers)
        or signed.service not in {"sts", "iam"}
    ):
        raise Refusal(
            "IncompleteSignature", "The request signature does not conform to AWS standards."
        )
    key = sts.rules.key(signed.access_key_id)
    if (
        key is None
        or key.token != token
        or sts.iam.does_not_take(key)
        or _is_shut_to(sts, key, signed)
    ):
        raise Refusal(
            "InvalidClientTokenId", "The security token included in the request is invalid."
        )
    if sts.strict:
        _check_signature(sts, signed, key, request)
    if key.expires is not None and key.expires <= sts.rules.now():
        raise Refusal("ExpiredToken", EXPIRED)
    sts.iam.used(key)
    return key


def _check_signature(sts: "FakeSts", signed: signature.Signed, key: Key, request: Request) -> None:
    amz_date = request.headers.get("x-amz-date", "")
    canonical = signature.canonical_request(
        signed, request.method, request.path, request.headers, request.body
    )
    if amz_date[:8] != signed.date or not signature.is_right(
        signed, canonical, amz_date, key.secret
    ):
        raise Refusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided."
            " Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for"
            f" this request should have been\n'{canonical}'",
        )
    if fault := signature.out_of_time(amz_date, sts.clock()):
        raise Refusal("SignatureDoesNotMatch", fault)


def _is_shut_to(sts: "FakeSts", key: Key, signed: signature.Signed) -> bool:
    """Refuse in an opt-in region the keys of accounts that have not enabled it."""
    is_enabled = (key.account, signed.region) in sts.rules.enabled
    is_shut = signed.service == "sts" and is_opt_in(signed.region) and not is_enabled
    return sts.strict and is_shut
