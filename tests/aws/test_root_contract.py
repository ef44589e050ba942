"""Hold every registered root kind to the contract, and a new one needs one file."""

import inspect
import json
import pathlib
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import lucide
import pytest

from sessions.aws import roots
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, WaitingForPerson
from sessions.aws.names import regions
from sessions.aws.roots import (
    ROOT_KINDS,
    ApprovalPage,
    ApprovalStatus,
    Challenge,
    Choice,
    Field,
    RootKind,
    register,
)
from sessions.forms import sessions as forms
from sessions.secret import Secret

REGION = "eu-west-1"
CANARY = "canary-7f3a"
every_kind = pytest.mark.parametrize("kind", ROOT_KINDS.values(), ids=list(ROOT_KINDS))

# Settings and secrets with which each kind has all but what a person gives. A kind that is added
# adds its line.
COMPLETE = {
    "iam-user": (
        {
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "mfa_serial": "arn:aws:iam::111122223333:mfa/ada",
        },
        {"secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    ),
    "identity-center": (
        {
            "start_url": "https://d-1234567890.awsapps.com/start",
            "sso_region": "eu-central-1",
            "account_id": "111122223333",
            "role_name": "Deploy",
        },
        {},
    ),
    "ambient": ({}, {}),
    "web-identity": (
        {
            "token_file": "/run/token",
            "role_arn": "arn:aws:iam::111122223333:role/Pod",
            "role_session_name": "chainweb",
        },
        {},
    ),
}


def base(kind, settings, secrets=None, answers=None):
    return kind.get_credentials(
        settings,
        {name: Secret(text) for name, text in (secrets or {}).items()},
        answers or {},
        REGION,
    )


def test_every_kinds_file_is_found_and_the_operators_kinds_come_last():
    operators = [kind.needs_operator for kind in ROOT_KINDS.values()]
    assert operators == sorted(operators)
    folder = pathlib.Path(roots.__file__).parent
    assert {path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py")} == set(ROOT_KINDS)
    assert set(COMPLETE) == set(ROOT_KINDS)


@every_kind
def test_a_kind_says_all_that_its_form_and_page_need(kind):
    assert all((kind.kind, kind.label, kind.help))
    assert len(kind.kind) <= 40
    assert len({field.name for field in kind.fields}) == len(kind.fields)
    for field in kind.fields:
        assert field.name.isidentifier()
        assert field.label
        assert field.help.endswith(".")
        assert field.name not in {
            "alias",
            "profile",
            "region",
            "sts_region",
            "labels",
            "sensitive",
            "is_sensitive",
            "kind",
            "status",
            "problem",
            "chain",
        }


@every_kind
def test_its_icon_is_one_of_lucides(kind):
    with zipfile.ZipFile(pathlib.Path(lucide.__file__).with_name("lucide.zip")) as icons:
        assert f"{kind.icon}.svg" in icons.namelist()


@every_kind
def test_every_field_of_free_text_has_a_validator_that_refuses_a_newline(kind):
    for field in kind.fields:
        assert field.validate, field.name
        with pytest.raises(ValueError, match=r"."):
            field.validate(f"{CANARY}\n[default]")


@every_kind
def test_what_is_secret_is_declared_and_its_validator_does_not_repeat_it(kind):
    for field in kind.fields:
        hidden = (
            any(word in field.name for word in ("secret", "password", "token"))
            and not field.options
        )
        assert field.secret or not hidden, field.name
        assert not (field.secret and (field.options or field.from_list))
        if field.secret:
            with pytest.raises(ValueError, match=r".") as refused:
                field.validate(f"{CANARY} é")
            assert CANARY not in str(refused.value)


@every_kind
def test_its_summary_is_short_and_holds_nothing_secret(kind):
    settings, _ = COMPLETE[kind.kind]
    for given in ({}, settings, dict.fromkeys(settings, "")):
        summary = kind.summary(given)
        assert isinstance(summary, str)
        assert len(summary) <= 100
    secret = {field.name: CANARY for field in kind.fields if field.secret}
    assert CANARY not in kind.summary(settings | secret)
    assert kind.summary(settings)


@every_kind
def test_what_it_asks_for_is_asked_in_words(kind):
    settings, _ = COMPLETE[kind.kind]
    for given in ({}, settings):
        for challenge in kind.challenges(given):
            assert all((challenge.name, challenge.label, challenge.help))
            assert bool(challenge.validate) != challenge.approval
    assert sum(challenge.approval for challenge in kind.challenges(settings)) <= 1
    if kind.challenges(settings):
        assert kind.caches_credentials(settings)


@every_kind
def test_it_waits_for_the_person_when_an_answer_is_missing(kind):
    settings, secrets = COMPLETE[kind.kind]
    challenges = kind.challenges(settings)
    for answers in (
        ({}, {challenge.name: Secret("") for challenge in challenges}, {"other": Secret("123456")})
        if challenges
        else ()
    ):
        with pytest.raises(WaitingForPerson) as raised:
            base(kind, settings, secrets, answers)
        assert raised.value.hop == 0
        assert raised.value.message
        assert raised.value.check


@every_kind
@pytest.mark.parametrize(
    "text", ["", " ", "\n", "é" * 3000, "../../etc/passwd", "{}", "[default]", "\0", "https://x"]
)
def test_whatever_is_in_its_settings_only_an_aws_error_of_the_root_leaves(kind, text, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings, secrets = COMPLETE[kind.kind]
    names = [field.name for field in kind.fields]
    for given in ({}, dict.fromkeys(names, text), *({**settings, name: text} for name in names)):
        for answers in (
            {},
            *({challenge.name: Secret(text)} for challenge in kind.challenges(given)),
        ):
            outcome = outcome_of(kind, given, secrets, answers)
            if isinstance(outcome, AwsError):
                assert outcome.hop == 0
                assert outcome.__cause__ is None
            else:
                # A key that is used as it stands is nobody's to judge but AWS's.
                assert (kind.kind, outcome.session_token) == ("iam-user", None)


def outcome_of(kind, settings, secrets, answers):
    try:
        return base(kind, settings, secrets, answers)
    except AwsError as error:
        return error


@every_kind
def test_an_aws_that_is_away_is_an_aws_error_of_the_root(kind, monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("a.b.c")
    monkeypatch.setenv("CHAINWEB_WEB_IDENTITY_TOKEN_FILES", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings, secrets = COMPLETE[kind.kind]
    settings = settings | ({"token_file": str(token)} if "token_file" in settings else {})
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    state = json.dumps({"tokens": {"access_token": "a", "refresh_token": "r", "expires_at": ends}})
    answers = {
        challenge.name: Secret(state if challenge.approval else "123456")
        for challenge in kind.challenges(settings)
    }
    with pytest.raises(AwsError) as raised:
        base(kind, settings, secrets, answers)
    assert raised.value.hop == 0
    assert raised.value.retryable == (kind.kind != "ambient")
    for challenge in kind.challenges(settings):
        if challenge.approval:
            with pytest.raises(AwsError) as raised:
                kind.begin(settings, None, REGION)
            assert (raised.value.hop, raised.value.retryable) == (0, True)


@every_kind
def test_whoever_needs_no_approval_has_none_to_begin(kind):
    settings, _ = COMPLETE[kind.kind]
    if any(challenge.approval for challenge in kind.challenges(settings)):
        assert type(kind).begin is not RootKind.begin
        assert type(kind).advance is not RootKind.advance
    else:
        with pytest.raises(NotImplementedError):
            kind.begin(settings, None, REGION)
        with pytest.raises(NotImplementedError):
            kind.advance(settings, Secret(""), REGION)
    if any(field.from_list for field in kind.fields):
        assert type(kind).choices is not RootKind.choices


@every_kind
def test_an_instance_remembers_nothing(kind):
    assert vars(kind) == {}


def test_the_root_kinds_know_no_django():
    code = (
        "import sys; from sessions.aws import key_rotation, roots; print(sorted({m.split('.')[0]"
        " for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'sessions'" in done.stdout
    assert "django" not in done.stdout
    assert "celery" not in done.stdout


def test_a_kind_that_is_taken_is_refused():
    class Twin(RootKind):
        kind = "iam-user"
        get_credentials = None

    Twin.__abstractmethods__ = frozenset()
    taken = ROOT_KINDS["iam-user"]
    with pytest.raises(ValueError, match="already taken by IamUser"):
        register(Twin())
    assert ROOT_KINDS["iam-user"] is taken


class Vault(RootKind):
    """Hold a fifth kind, with one of everything that a kind can have."""

    kind, label, help, icon = "vault", "Vault", "Keys from a vault.", "vault"
    fields = (
        Field("address", "Address", "Where it is.", validate=lambda text: text.lower()),
        Field("password", "Password", "What opens it.", secret=True),
        Field(
            "engine",
            "Engine",
            "One of two.",
            options=lambda: (Choice("kv", "Keys"), Choice("aws", "AWS")),
        ),
        Field("shelf", "Shelf", "Picked once approved.", required=False, from_list=True),
    )

    def challenges(self, settings):
        return (Challenge("approval", "Approval", "Approve it.", approval=True),)

    def begin(self, settings, state, region):
        return ApprovalPage(
            "https://vault.example/",
            "ABCD",
            datetime.now(UTC) + timedelta(minutes=1),
            1,
            Secret("asked"),
        )

    def advance(self, settings, state, region):
        return ApprovalStatus(Secret("approved"))

    def choices(self, name, settings, state, region):
        return (Choice("top", "Top shelf"),)

    def get_credentials(self, settings, secrets, answers, region):
        if "approval" not in answers:
            raise WaitingForPerson("ApprovalNeeded", 0, "Not approved.", "Approve it.")
        return AwsCredentials("AKIA" + "A" * 16, secrets["password"])


@pytest.fixture
def fifth(monkeypatch):
    """Add one kind to the registry, known wherever it is used."""
    extended = dict(ROOT_KINDS)
    for module in [module for name, module in sys.modules.items() if name.startswith("sessions.")]:
        if inspect.ismodule(module) and getattr(module, "ROOT_KINDS", None) is ROOT_KINDS:
            monkeypatch.setattr(module, "ROOT_KINDS", extended)
    register(Vault())
    return extended["vault"]


def test_a_fifth_kind_keeps_the_contract_by_its_defaults(fifth):
    assert fifth.caches_credentials({})
    assert fifth.approval_scope({}) == ""
    assert not fifth.per_person
    with pytest.raises(WaitingForPerson):
        base(fifth, {}, {"password": "x"})
    assert base(fifth, {}, {"password": "x"}, {"approval": Secret("")}).secret_access_key == Secret(
        "x"
    )


def test_a_fifth_kind_has_a_form_without_anything_else_being_touched(fifth):
    typed = {
        "alias": "Vault",
        "profile": "vault",
        "region": regions()["aws"][0],
        "address": "VAULT.example",
        "password": CANARY,
        "engine": "kv",
    }
    form = forms.RootSessionForm(typed, actor=None, kind=forms.ROOT_KINDS["vault"])
    assert form.is_valid(), form.errors
    draft = form.draft()
    assert draft.kind == "vault"
    assert draft.settings == {"address": "vault.example", "engine": "kv"}
    assert draft.secrets == {"password": Secret(CANARY)}
    page = form.as_p()
    assert CANARY not in page
    assert "<select" in page
    assert "Top shelf" not in page
    assert not forms.RootSessionForm(
        {**typed, "engine": "other"}, actor=None, kind=fifth
    ).is_valid()


def test_no_kind_that_is_registered_may_lack_get_credentials():
    class Nothing(RootKind):
        kind, label, help, icon = "nothing", "Nothing", "Nothing.", "circle"

    with pytest.raises(TypeError, match="get_credentials"):
        Nothing()


def test_a_root_error_is_refused_or_waiting_and_says_what_to_check():
    error = Rejected("NoSecret", 0, "Not stored.", "Enter it.")
    assert (error.hop, error.check, error.retryable) == (0, "Enter it.", False)
