"""Web identity: only the operator's files, read at each use, and STS's word on their token."""

import os

import pytest

from sessions.aws.errors import ClockSkewed, Rejected
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName
from sessions.aws.roots import ROOT_KINDS
from sessions.aws.roots.web_identity import ALLOWED, LARGEST_TOKEN_BYTES, allowed_files, read_token
from sessions.aws.sts import assume_role, caller_identity

REGION = "eu-west-1"
KIND = ROOT_KINDS["web-identity"]
ROLE = "arn:aws:iam::111122223333:role/unit/Pod"
SUBJECT = "system:serviceaccount:chainweb:worker"


@pytest.fixture
def token_file(tmp_path, monkeypatch):
    file = tmp_path / "tokens" / "token"
    file.parent.mkdir()
    monkeypatch.setenv(ALLOWED, str(file))
    return file


@pytest.fixture
def settings(sts, token_file):
    sts.add_role(ROLE, trusts=[SUBJECT])
    token_file.write_text(sts.identity_token(SUBJECT) + "\n")
    return {"token_file": str(token_file), "role_arn": ROLE, "role_session_name": "chainweb"}


def base(settings):
    return KIND.get_credentials(settings, {}, {}, REGION)


def refusal(settings):
    with pytest.raises(Rejected) as raised:
        base(settings)
    assert raised.value.hop == 0
    assert raised.value.__cause__ is None
    return raised.value


def test_the_files_token_becomes_an_hour_of_the_role_by_an_unsigned_call(sts, settings):
    given = base(settings)
    assert (
        caller_identity(given, REGION).arn == "arn:aws:sts::111122223333:assumed-role/Pod/chainweb"
    )
    assert given.expires_at is not None
    call = sts.calls[0]
    assert (call["action"], call["access_key_id"]) == ("AssumeRoleWithWebIdentity", "")
    assert (call["region"], call["duration_seconds"]) == ("", 3600)
    assert KIND.caches_credentials(settings)


def test_a_chain_can_begin_with_it(sts, settings):
    arn = sts.add_role("arn:aws:iam::444455556666:role/Deploy", trusts=[ROLE])
    assert assume_role(Hop(arn, "ada"), base(settings), REGION, 1).arn.endswith("Deploy/ada")


def test_the_file_is_read_at_each_use(sts, settings, token_file):
    base(settings)
    token_file.write_text(sts.identity_token("somebody else"))
    assert refusal(settings).code == "AccessDenied"
    token_file.write_text(sts.identity_token(SUBJECT))
    base(settings)


def test_the_workers_own_keys_are_not_used_for_it(sts, settings, monkeypatch):
    own = sts.add_user("worker")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own.secret_access_key.reveal())
    base(settings)
    assert {call["access_key_id"] for call in sts.calls} == {""}


def test_what_sts_says_of_the_token_is_told_in_words_that_fit_a_token(sts, settings, token_file):
    token_file.write_text(sts.identity_token("stranger"))
    assert "trust policy" in refusal(settings).check
    token_file.write_text("a.b.c")
    error = refusal(settings)
    assert (error.code, error.retryable) == ("InvalidIdentityToken", False)
    token_file.write_text(sts.identity_token(SUBJECT, seconds=-1))
    error = refusal(settings)
    assert (error.code, error.retryable) == ("ExpiredTokenException", True)
    assert "token in the file has expired" in error.message


@pytest.mark.parametrize(
    "code", ["IDPRejectedClaim", "RegionDisabledException", "PackedPolicyTooLarge"]
)
def test_sts_other_refusals_stay_refusals(sts, settings, code):
    sts.fail_next(code)
    assert refusal(settings).code == code


def test_the_operators_list_is_absolute_paths_by_colons_or_commas(monkeypatch):
    monkeypatch.setenv(
        ALLOWED, "/run/a/token:/run/b/token, /run//c/../c/token,relative/token::,/run/a/token"
    )
    assert allowed_files() == ("/run/a/token", "/run/b/token", "/run/c/token")
    monkeypatch.delenv(ALLOWED)
    assert allowed_files() == ()
    with pytest.raises(InvalidName):
        KIND.fields[0].validate("")


def test_a_path_that_the_operator_does_not_list_is_neither_taken_nor_read(sts, settings, tmp_path):
    other = tmp_path / "tokens" / "other"
    other.write_text(sts.identity_token(SUBJECT))
    names = [
        str(other),
        f"{tmp_path}/tokens/../tokens/token",
        "tokens/token",
        "/etc/passwd",
        f"{settings['token_file']}\n",
        "",
    ]
    for name in names:
        with pytest.raises(InvalidName):
            KIND.fields[0].validate(name)
        assert refusal({**settings, "token_file": name}).code == "TokenFileNotAllowed"
    assert sts.calls == []


def test_a_file_that_is_taken_off_the_list_is_refused_from_then_on(settings, monkeypatch):
    base(settings)
    monkeypatch.setenv(ALLOWED, "/run/another/token")
    assert refusal(settings).code == "TokenFileNotAllowed"


def test_kubernetes_moving_links_inside_the_folder_are_followed(sts, settings, token_file):
    folder = token_file.parent
    token_file.unlink()
    for number in (1, 2):
        (folder / f"..{number}").mkdir()
        (folder / f"..{number}" / "token").write_text(sts.identity_token(SUBJECT))
        (folder / "..new").symlink_to(f"..{number}")
        (folder / "..new").rename(folder / "..data")
        if number == 1:
            token_file.symlink_to("..data/token")
        base(settings)


def test_a_link_out_of_the_folder_is_not_followed_unless_its_end_is_listed(
    sts, settings, token_file, tmp_path, monkeypatch
):
    secret = tmp_path / "secret"
    secret.write_text(sts.identity_token(SUBJECT))
    token_file.unlink()
    token_file.symlink_to(secret)
    assert refusal(settings).code == "TokenFileNotAllowed"
    (tmp_path / "tokens-other").mkdir()
    beside = tmp_path / "tokens-other" / "token"
    beside.write_text(sts.identity_token(SUBJECT))
    token_file.unlink()
    token_file.symlink_to(beside)
    assert refusal(settings).code == "TokenFileNotAllowed"
    monkeypatch.setenv(ALLOWED, f"{token_file}:{beside}")
    base(settings)


def test_what_is_no_file_with_a_token_is_said_and_tried_again(settings, token_file):
    token_file.unlink()
    os.mkfifo(token_file)
    assert "is not a file" in refusal(settings).message
    token_file.unlink()
    token_file.mkdir()
    assert "is not a file" in refusal(settings).message
    token_file.rmdir()
    error = refusal(settings)
    assert (error.code, error.retryable) == ("NoToken", True)
    assert str(token_file) not in error.message
    contents = [
        "",
        "\n",
        "no token",
        "a.b",
        "a.b.c d",
        "a.b.c\nd.e.f",
        "é.b.c",
        "a.b." + "c" * LARGEST_TOKEN_BYTES,
    ]
    for content in contents:
        token_file.write_text(content)
        assert refusal(settings).code == "NoToken"


def test_the_largest_token_that_sts_takes_is_read_whole(settings, token_file):
    text = "a.b." + "c" * (LARGEST_TOKEN_BYTES - 4)
    token_file.write_text(text + "\n")
    assert read_token(str(token_file)).reveal() == text
    token_file.write_bytes(b"x" * 50_000_000)
    assert "larger" in refusal(settings).message


def test_no_error_of_it_holds_the_token(sts, settings, token_file):
    token = "canarytoken.canarytoken.canarytoken"
    token_file.write_text(token)
    sts.fail_next("InvalidIdentityToken", message=f"The token {token} is bad")
    error = refusal(settings)
    frames, step = [], error.__traceback__.tb_next
    while step:
        frames.append(repr({k: v for k, v in step.tb_frame.f_locals.items() if k != "sts"}))
        step = step.tb_next
    assert "canary" not in f"{error}{error.check}{frames[1:]}"
    token_file.write_text("canarytoken canarytoken")
    assert "canary" not in f"{refusal(settings)}"


def test_a_role_or_name_that_is_not_legal_is_refused_without_a_call(sts, settings):
    for change in ({"role_arn": "Pod"}, {"role_session_name": "a b"}, {"role_session_name": ""}):
        assert refusal({**settings, **change}).code == "ValidationError"
    assert sts.calls == []


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_some_minutes_off_makes_good_credentials_no_worse(sts, settings, minutes):
    sts.rules.skew_seconds = minutes * 60
    assert base(settings).expires_at is not None


@pytest.mark.parametrize("minutes", [90, -90])
def test_a_clock_far_off_is_told_as_such_and_waited_for(sts, settings, token_file, minutes):
    token_file.write_text(sts.identity_token(SUBJECT, seconds=5 * 3600))
    sts.rules.skew_seconds = minutes * 60
    with pytest.raises(ClockSkewed) as raised:
        base(settings)
    assert (raised.value.hop, raised.value.retryable) == (0, True)
    assert "The workers' clock is 1 h" in raised.value.message
    assert ("behind" if minutes > 0 else "ahead of") in raised.value.message
