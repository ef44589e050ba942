"""Check what an AWS answer proves: table, document, and the cases that were seen."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sessions.aws import proof, regions
from sessions.aws.errors import (
    ClockSkewed,
    CredentialsExpired,
    Rejected,
    UnacceptableAnswer,
    translate,
)
from sessions.aws.hop import Hop
from sessions.aws.names import regions as known_regions
from sessions.aws.proof import About, Answer, Asked, Call, Signer, Where, proves

HOP = Hop("arn:aws:iam::111122223333:role/team/Deploy", "ben", external_id="partner-7")
HOME, OTHER, OPT_IN = "eu-west-1", "us-east-1", "ap-south-2"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "aws.md"


def asked(signer=Signer.ROOT_KEY, region=HOME, *, call=Call.ASSUME_ROLE, account=""):
    return Asked(call, signer, region, HOME, account)


def said(code, message="", status=400, *, date=None, asked=None, hop_number=1, hop=HOP):
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    if date:
        response["ResponseMetadata"]["HTTPHeaders"] = {"date": format_datetime(date, usegmt=True)}
    return translate(ClientError(response, "AssumeRole"), hop_number, hop, asked=asked or Asked())


def written(line):
    """Make a line as the document writes it, without its message cell."""
    codes = set(line.codes or ())
    if line.statuses:
        first, last = line.statuses[0], line.statuses[-1]
        codes = {f"HTTP {first}" if first == last else f"HTTP {first} to {last}"}
    if codes == {proof.NO_CODE}:
        codes = {"none (a proxy's page)"}
    names = (line.calls or (), line.signers or (), line.wheres or ())
    return codes, *({str(each) for each in some} for some in names), str(line.about)


def test_the_document_has_the_same_table():
    text = DOCUMENT.read_text().partition("| code |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    documented = [
        (
            set(re.findall(r"`([^`]+)`", row[0])) or {row[0]},
            *({each for each in cell.split("; ") if each} for cell in row[2:5]),
            row[5],
        )
        for row in rows
    ]
    assert documented == [written(line) for line in proof.TABLE]
    for row, line in zip(rows, proof.TABLE, strict=True):
        assert bool(row[1]) == bool(line.says or line.skewed)
        if line.says:
            assert line.says.search(row[1].replace("Signature expired, or", "Signature")), row


def test_every_answer_proves_something_and_only_the_root_at_home_its_key():
    codes = {code for line in proof.TABLE for code in line.codes or ()} | {"SomethingNew"}
    for code, call, signer, region in product(
        codes, Call, Signer, (HOME, OTHER, OPT_IN, "xx-new-1")
    ):
        about = proves(Answer(code, "", 403), Asked(call, signer, region, HOME))
        if about is About.KEY and code not in proof.EXPIRED:
            assert region == HOME
            assert signer in {Signer.ROOT_KEY, Signer.ROOT_IDENTITY}
        if about is About.CALLER:
            assert signer in {Signer.ROOT_SESSION, Signer.HOP}


@pytest.mark.parametrize(
    ("signer", "region", "about"),
    [
        (Signer.ROOT_KEY, HOME, About.KEY),
        (Signer.ROOT_KEY, OPT_IN, About.REGION),
        (Signer.ROOT_KEY, OTHER, About.REGION),
        (Signer.ROOT_IDENTITY, HOME, About.KEY),
        (Signer.ROOT_IDENTITY, OPT_IN, About.REGION),
        (Signer.ROOT_SESSION, HOME, About.CALLER),
        (Signer.ROOT_SESSION, OPT_IN, About.REGION),
        (Signer.ROOT_SESSION, OTHER, About.REGION),
        (Signer.HOP, HOME, About.CALLER),
        (Signer.HOP, OTHER, About.CALLER),
        (Signer.HOP, OPT_IN, About.REGION),
        (Signer.NOBODY, HOME, About.HOP),
    ],
)
def test_an_unknown_key_is_dead_only_where_that_is_proved(signer, region, about):
    assert proves(Answer("InvalidClientTokenId", "", 403), asked(signer, region)) is about


def test_a_hop_in_the_roots_own_opt_in_region_says_nothing_of_its_parent():
    at_home = Asked(Call.ASSUME_ROLE, Signer.HOP, OPT_IN, OPT_IN)
    assert proves(Answer("InvalidClientTokenId"), at_home) is About.REGION


def test_a_region_that_is_not_enabled_is_named_with_the_calling_account():
    error = said(
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
        403,
        asked=asked(region=OPT_IN, account="111122223333"),
    )
    assert (
        error.message
        == "The region ap-south-2 is not enabled for the calling account 111122223333."
    )
    assert "Enable ap-south-2 in that account" in error.check
    assert (type(error), error.about) == (Rejected, About.REGION)


def test_a_root_in_an_opt_in_region_is_told_both_reasons():
    error = said(
        "InvalidClientTokenId",
        "x",
        403,
        asked=Asked(Call.ASSUME_ROLE, Signer.ROOT_KEY, OPT_IN, OPT_IN),
    )
    assert error.about is About.KEY
    assert "deleted, disabled" in error.check
    assert "ap-south-2 is not enabled" in error.check


EXPIRED = (
    "Signature expired: 20261127T100000Z is now earlier than 20261127T101000Z (20261127T102500Z -"
    " 15 min.)"
)
EARLY = (
    "Signature not yet current: 20261127T130000Z is still later than 20261127T121500Z"
    " (20261127T120000Z + 15 min.)"
)


@pytest.mark.parametrize(
    ("code", "message", "date_ahead", "told"),
    [
        ("SignatureDoesNotMatch", EXPIRED, None, "25 min behind"),
        ("SignatureDoesNotMatch", EARLY, None, "1 h ahead of"),
        ("InvalidSignatureException", EXPIRED, None, "25 min behind"),
        (
            "RequestTimeTooSkewed",
            "The difference is too large.",
            timedelta(minutes=20),
            "20 min behind",
        ),
        ("RequestExpired", "Request has expired.", timedelta(minutes=-20), "20 min ahead of"),
        ("RequestInTheFuture", "", timedelta(days=2), "48 h behind"),
        ("SignatureDoesNotMatch", "", timedelta(minutes=20), "20 min behind"),
        ("AuthFailure", "", timedelta(minutes=-20), "20 min ahead of"),
        ("RequestTimeTooSkewed", "", None, "by more than AWS accepts"),
        ("RequestExpired", "", timedelta(0), "though the clocks differ by only 0 s"),
    ],
)
@pytest.mark.parametrize("call", [Call.ASSUME_ROLE, Call.IAM])
def test_a_wrong_clock_is_called_so_and_by_how_much(code, message, date_ahead, told, call):
    date = None if date_ahead is None else datetime.now(UTC) + date_ahead + timedelta(seconds=0.5)
    error = said(code, message, 403, date=date, asked=asked(call=call))
    assert (type(error), error.about, error.retryable) == (ClockSkewed, About.CLOCK, True)
    assert told in re.sub(r" [0-9] s\b(?= (behind|ahead))", "", error.message)
    assert "clock" in error.check
    assert "secret" not in f"{error.message}{error.check}"


def test_a_wrong_signature_at_the_right_time_is_the_secret():
    error = said("SignatureDoesNotMatch", "x", 403, date=datetime.now(UTC), asked=asked())
    assert (error.about, error.retryable) == (About.KEY, False)
    assert "secret of the root's key" in error.check


def test_an_endpoint_of_another_region_is_not_a_wrong_secret():
    message = "Credential should be scoped to a valid region, not 'eu-west-1'."
    error = said("SignatureDoesNotMatch", message, 403, asked=asked())
    assert error.about is About.REGION
    assert "does not belong to the region eu-west-1" in error.message


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (
            "InvalidParameterValue",
            (
                "One of the specified transitive tag keys can't be set because it conflicts with a"
                " transitive tag key from the calling session."
            ),
            "earlier hop passes on a tag with this key",
        ),
        (
            "OptInRequired",
            "The AWS Access Key Id needs a subscription for the service",
            "enabled the region",
        ),
        (
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
            "account is active",
        ),
        ("AccessDenied", "Roles may not be assumed by root accounts.", "root user"),
        (
            "RegionDisabledException",
            (
                "STS is not activated in this region for account:444455556666. Your account"
                " administrator can activate STS"
            ),
            "in eu-west-1 in the account 444455556666",
        ),
        ("IncompleteSignature", "", "proxy"),
        ("MissingAuthenticationToken", "", "proxy"),
        ("InvalidAction", "", "AWS_ENDPOINT_URL"),
        ("PackedPolicyTooLarge", "Packed policy consumes 112% of allotted space", "112 %"),
        ("LimitExceeded", "", "quota"),
        ("SomethingNew", "", "AssumeRole, or under Common Errors"),
    ],
)
def test_each_of_these_says_what_caused_it(code, message, hint):
    assert hint in said(code, message, 403, asked=asked()).check


def test_the_roots_own_user_is_about_the_root():
    error = said("AccessDenied", "Roles may not be assumed by root accounts.", 403, asked=asked())
    assert error.about is About.KEY
    later = said(
        "AccessDenied",
        "Roles may not be assumed by root accounts.",
        403,
        asked=asked(Signer.HOP),
        hop_number=2,
    )
    assert later.about is About.HOP


def test_a_denial_names_the_policy_and_the_authorization_id():
    message = (
        "User: arn:aws:iam::111122223333:user/ada is not authorized to perform: sts:AssumeRole on"
        f" resource: {HOP.role_arn} with an explicit deny in a service control policy. {'x' * 600}"
        " To see the details, call the GetRequestAuthorizationDetails API with the following"
        " authorization id: abcd-1234-EFGH."
    )
    check = said("AccessDenied", message, 403, asked=asked()).check
    assert "service control policy (SCP)" in check
    assert "by the id abcd-1234-EFGH." in check


def test_a_wrong_code_waits_for_the_person():
    message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    error = said(
        "AccessDenied", message, 403, asked=asked(call=Call.SESSION_TOKEN), hop_number=0, hop=None
    )
    assert error.about is About.PERSON
    assert "only once" in error.check


@pytest.mark.parametrize("code", ["", "403", "407", "302", "bad\ncode"])
def test_an_answer_without_a_code_is_something_on_the_way(code):
    error = said(code, "<html>please log in</html>", 403, asked=asked())
    assert (type(error), error.code, error.retryable) == (
        UnacceptableAnswer,
        "UnreadableAnswer",
        True,
    )
    assert error.about is About.MOMENT
    assert "HTTP 403" in error.message
    assert "html" not in error.message


def test_the_workers_own_expired_credentials_are_about_the_root():
    error = said("ExpiredToken", "x", 403, asked=asked(Signer.ROOT_IDENTITY))
    assert (type(error), error.about) == (Rejected, About.KEY)
    assert "workers' own AWS credentials have expired" in error.message


def test_a_dead_parent_is_told_as_such():
    error = said("InvalidClientTokenId", "x", 403, asked=asked(Signer.HOP), hop_number=2)
    assert type(error) is CredentialsExpired
    assert "no longer knows the credentials of the previous hop" in error.message


def test_every_default_region_exists_and_each_partition_has_one():
    known = known_regions()
    for partition, some in regions.ENABLED_BY_DEFAULT.items():
        if partition in known:
            assert set(some) <= set(known[partition])
    assert {"aws", "aws-cn", "aws-us-gov"} <= regions.ENABLED_BY_DEFAULT.keys()
    assert regions.is_opt_in("ap-south-2")
    assert not regions.is_opt_in("eu-west-1")


def test_where_a_hop_calls_from_counts_by_the_region_alone():
    assert asked(Signer.HOP, HOME).where is Where.EVERYBODYS
    assert asked(Signer.ROOT_SESSION, HOME).where is Where.HOME
