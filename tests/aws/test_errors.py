"""Turn botocore's errors into our few, each with its hop, a hint and nothing secret."""

import pickle
import time

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker

from sessions.aws import advice, errors, proof
from sessions.aws.errors import (
    AwsError,
    CredentialsExpired,
    Rejected,
    Throttled,
    UnacceptableAnswer,
    Unavailable,
    translate,
)
from sessions.aws.hop import Hop
from sessions.secret import Secret

HOP = Hop("arn:aws:iam::111122223333:role/team/Deploy", "ben", external_id="partner-7")


def answered(code, message="", status=400):
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "AssumeRole")


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("AccessDenied", 403, Rejected, False),
        ("ExpiredToken", 403, CredentialsExpired, False),
        ("ExpiredTokenException", 400, CredentialsExpired, False),
        ("InvalidClientTokenId", 403, Rejected, False),
        ("SignatureDoesNotMatch", 403, Rejected, False),
        ("RegionDisabledException", 403, Rejected, False),
        ("MalformedPolicyDocument", 400, Rejected, False),
        ("PackedPolicyTooLarge", 400, Rejected, False),
        ("ValidationError", 400, Rejected, False),
        ("Throttling", 400, Throttled, True),
        ("ThrottlingException", 400, Throttled, True),
        ("RequestLimitExceeded", 503, Throttled, True),
        ("Whatever", 429, Throttled, True),
        ("InternalFailure", 500, Unavailable, True),
        ("502", 502, Unavailable, True),
        ("ServiceUnavailable", 503, Unavailable, True),
        ("504", 504, Unavailable, True),
        ("SomethingNew", 400, Rejected, False),
    ],
)
def test_each_code_of_aws_has_its_kind(code, status, kind, retryable):
    error = translate(answered(code, "why", status), 2, HOP)
    assert type(error) is kind
    assert (error.code, error.hop, error.retryable) == (code, 2, retryable)
    assert error.check


def test_whatever_botocore_takes_for_throttling_is_throttling():
    assert proof.THROTTLED.issuperset(ThrottledRetryableChecker._THROTTLED_ERROR_CODES)


def test_a_denial_says_which_policies_to_check_and_for_whom():
    message = (
        "User: arn:aws:iam::111122223333:user/ada is not authorized to perform: sts:AssumeRole on"
        f" resource: {HOP.role_arn} because no identity-based policy allows the sts:AssumeRole"
        " action"
    )
    error = translate(answered("AccessDenied", message, 403), 1, HOP)
    assert error.message == message
    assert "trust policy of Deploy" in error.check
    assert "arn:aws:iam::111122223333:user/ada" in error.check
    assert "external ID" in error.check


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("Value 'x y' at 'roleSessionName' failed to satisfy constraint", "Role session name"),
        ("Value 'x' at 'externalId' failed to satisfy constraint", "External ID"),
        (
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            "requested hour",
        ),
        ("arn:x is invalid", "fields"),
    ],
)
def test_a_validation_error_points_at_the_field(message, hint):
    assert hint in translate(answered("ValidationError", message), 1, HOP).check


def test_the_packed_size_is_shown():
    error = translate(
        answered("PackedPolicyTooLarge", "Packed policy consumes 112% of allotted space"), 1, HOP
    )
    assert "112 %" in error.check


@pytest.mark.parametrize("code", ["PackedPolicyTooLarge", "AccessDenied", "ValidationError"])
@pytest.mark.parametrize("piece", ["1", "User: ", " at '", "1 "])
def test_a_huge_message_keeps_no_worker_busy(code, piece):
    before = time.process_time()
    error = errors.translate(answered(code, piece * (200_000 // len(piece))), 1, HOP)
    assert time.process_time() - before < 2
    assert len(error.message) <= advice.LONGEST_MESSAGE


def test_a_wrong_signatures_answer_is_never_passed_on():
    error = translate(
        answered("SignatureDoesNotMatch", "canonical: x-amz-security-token:TOKEN", 403), 1, HOP
    )
    assert "TOKEN" not in f"{error!r}{error}{error.message}{error.check}"


def test_a_secret_that_an_answer_quotes_is_blotted_out():
    error = translate(
        answered("Odd", "you sent s3cr3t-key"), 1, hidden=(Secret("s3cr3t-key"), None, Secret(""))
    )
    assert error.message == "you sent …"


def test_an_answers_text_is_one_line_without_control_characters_and_short():
    hostile = "a\r\n\x1b[31mb\u202ec\x00d\u2028" + "e" * 5000
    error = translate(answered("Odd", hostile), 1, HOP)
    assert error.message.isprintable()
    assert error.message.startswith("a [31mb c d e")
    assert len(error.message) == 500


def test_a_web_page_is_no_reason():
    error = translate(answered("500", "\n<!doctype html><title>500 Oops</title>", 500), 1, HOP)
    assert "Oops" not in error.message
    assert "a web page with status 500" in error.message


def test_an_answer_without_code_or_message_is_still_an_error():
    error = translate(ClientError({}, "AssumeRole"), 1, HOP)
    assert (error.code, error.message) == (
        "UnreadableAnswer",
        "The response is not from AWS.",
    )
    assert translate(answered("Odd", ""), 1, HOP).message == "AWS gave no reason."


@pytest.mark.parametrize(
    ("raised", "kind", "retryable"),
    [
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), Unavailable, True),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), Unavailable, True),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), Unavailable, True),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), Unavailable, True),
        (exceptions.SSLError(endpoint_url="https://x", error="bad"), Unavailable, True),
        (exceptions.MetadataRetrievalError(error_msg="x"), Unavailable, True),
        (exceptions.CredentialRetrievalError(provider="x", error_msg="x"), Unavailable, True),
        (ConnectionResetError(), Unavailable, True),
        (exceptions.NoCredentialsError(), Rejected, False),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), Rejected, False),
        (exceptions.ParamValidationError(report="x"), Rejected, False),
        (exceptions.NoRegionError(), Rejected, False),
        (ResponseParserError("not xml"), UnacceptableAnswer, True),
        (KeyError("AssumeRoleResult"), UnacceptableAnswer, True),
    ],
)
def test_what_is_raised_without_an_answer_has_its_kind(raised, kind, retryable):
    error = translate(raised, 3, HOP)
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.message
    assert error.check


def test_our_own_error_passes_through_unchanged():
    error = Rejected("NoCredentials", 0, "none", "give one")
    assert translate(error, 2) is error


def test_an_error_can_be_copied_to_another_process():
    error = UnacceptableAnswer("X", 2, "message", "check", retryable=True)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is UnacceptableAnswer
    assert (copy.code, copy.hop, copy.message, copy.check, copy.retryable) == (
        "X",
        2,
        "message",
        "check",
        True,
    )
    assert isinstance(copy, AwsError)
