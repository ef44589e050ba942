"""The console opens with an event first and a worker's token, read once."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from sessions.activations.start_stop import stop_session
from sessions.actors import Actor, NamedActor
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError
from sessions.aws.federation import sign_in_token
from sessions.catalog.sessions import save_session
from sessions.delivery.console import ask_sign_in, delete_overdue, sign_in_of, take_token
from sessions.delivery.reveal import NotReady, NotYours
from sessions.engine import console_sign_in
from sessions.exceptions import Refused
from sessions.ledger.events.credentials import ConsoleSignedIn, CredentialRevealed
from sessions.models import ConsoleSignIn, Delivery, TeamPolicy
from sessions.people.memberships import remove_member
from sessions.permissions import Sensitive
from sessions.sealing import SealingError
from sessions.secret import Secret
from tests.harness.federation import TOKEN, federation
from tests.house import draft_of

pytestmark = pytest.mark.django_db
PAGE = "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1"


@pytest.fixture
def aws(settings):
    with federation() as fake:
        settings.CONSOLE_FEDERATION_URL = fake.url
        yield fake


@pytest.fixture
def leaf(house):
    session = house.chained("Deploy", member=house.ben)
    house.start(session)
    house.work()
    return session


def ask(leaf, member, *, confirmed=False):
    actor = Actor(member, confirmed=confirmed)
    return ask_sign_in(leaf, actor, destination=PAGE, region="eu-west-1")


def test_the_event_is_written_before_anything_is_asked(house, leaf, aws):
    asked = ask(leaf, house.ben)
    line = house.events(ConsoleSignedIn)[-1]
    assert line.actor == "ben"
    assert line.data["destination"] == PAGE
    assert line.data["access_key_id"] == asked.access_key_id
    assert line.data["expires_at"]
    assert house.events(CredentialRevealed)[-1].data["via"] == "console"
    assert aws.asked == []
    assert asked.is_pending


def test_a_worker_posts_the_session_and_seals_the_token(house, leaf, aws):
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    (request,) = aws.asked
    assert (request.method, request.path) == ("POST", "/federation")
    assert b"SessionDuration" not in request.body
    stored = ConsoleSignIn.objects.get(pk=asked.pk)
    assert stored.sealed is not None
    assert TOKEN.encode() not in bytes(stored.sealed)
    console_sign_in.work_off()
    assert len(aws.asked) == 1


def test_a_token_is_read_once_and_by_its_person_alone(house, leaf, aws):
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    assert sign_in_of(asked.pk, house.bea.user) is None
    mine = sign_in_of(asked.pk, house.ben.user)
    assert mine is not None
    token = take_token(mine)
    assert token is not None
    assert token.reveal() == TOKEN
    assert take_token(mine) is None
    assert not ConsoleSignIn.objects.exists()


def test_a_token_that_is_moved_to_another_person_does_not_open(house, leaf, aws):
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    ConsoleSignIn.objects.filter(pk=asked.pk).update(user=house.bea.user)
    stolen = sign_in_of(asked.pk, house.bea.user)
    assert stolen is not None
    with pytest.raises(SealingError):
        take_token(stolen)


@pytest.mark.parametrize("ending", ["stopped", "removed"])
def test_what_ends_before_the_worker_comes_opens_nothing(house, leaf, aws, ending):
    asked = ask(leaf, house.ben)
    if ending == "stopped":
        stop_session(leaf, Actor(house.ben))
    else:
        remove_member(house.ben, NamedActor("ada"), house.ada.user)
    console_sign_in.work_off()
    assert aws.asked == []
    assert not ConsoleSignIn.objects.filter(pk=asked.pk, sealed__isnull=False).exists()


def test_what_was_renewed_meanwhile_is_not_what_the_event_named(house, leaf, aws):
    asked = ask(leaf, house.ben)
    ConsoleSignIn.objects.update(access_key_id="ASIAIOSFODNN7EXAMPLE")
    console_sign_in.work_off()
    assert aws.asked == []
    assert ConsoleSignIn.objects.get(pk=asked.pk).problem.code == "Renewed"


def test_an_overdue_sign_in_goes_with_its_token(house, leaf, aws):
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    ConsoleSignIn.objects.update(ends_at=asked.ends_at - timedelta(minutes=15))
    assert sign_in_of(asked.pk, house.ben.user) is None
    delete_overdue()
    assert not ConsoleSignIn.objects.exists()


def test_a_sensitive_session_wants_a_confirmation_for_the_console(house, leaf, aws):
    save_session(draft_of(leaf, sensitive=True), Actor(house.ben), leaf)
    with pytest.raises(Sensitive):
        ask(leaf, house.ben)
    assert house.events(ConsoleSignedIn) == []
    ask(leaf, house.ben, confirmed=True)
    console_sign_in.work_off()
    assert len(aws.asked) == 1


def test_a_session_that_is_not_active_opens_no_console(house, aws):
    with pytest.raises(NotReady):
        ask(house.chained("Idle"), house.ben)
    with pytest.raises((Refused, NotYours)):
        ask(house.root, house.ben)
    assert house.events(ConsoleSignedIn) == []


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (400, b"bad", "SignInRejected", False),
        (302, b"", "SignInRejected", False),
        (500, b"", "SignInUnavailable", True),
        (429, b"", "Throttled", True),
        (200, b"no json", "UnacceptableAnswer", False),
        (200, b'{"SigninToken": "a b"}', "UnacceptableAnswer", False),
        (200, b'{"SigninToken": 7}', "UnacceptableAnswer", False),
        (200, b"[" * 100_000, "UnacceptableAnswer", False),
    ],
)
def test_a_bad_answer_is_named_and_quotes_nothing(aws, status, body, code, retryable):
    aws.answer = (status, body)
    session = AwsCredentials("ASIAIOSFODNN7EXAMPLE", Secret("canary-key"), Secret("canary-token"))
    with pytest.raises(AwsError) as refused:
        sign_in_token(aws.url, session, 2)
    assert (refused.value.code, refused.value.hop) == (code, 2)
    assert refused.value.retryable is retryable
    assert "canary" not in str(refused.value)


def test_a_session_token_of_4096_bytes_goes_through(aws):
    seen = []
    aws.knows = lambda session: seen.append(session) or True
    token = "a+/=" * 1024
    session = AwsCredentials("ASIAIOSFODNN7EXAMPLE", Secret("k&=%"), Secret(token))
    assert sign_in_token(aws.url, session, 1).reveal() == TOKEN
    assert seen == [
        {"sessionId": "ASIAIOSFODNN7EXAMPLE", "sessionKey": "k&=%", "sessionToken": token}
    ]


def test_an_endpoint_that_is_away_is_a_passing_problem(house, leaf, settings):
    settings.CONSOLE_FEDERATION_URL = "http://127.0.0.1:9/federation"
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    problem = ConsoleSignIn.objects.get(pk=asked.pk).problem
    assert problem.retrying


def test_the_page_goes_to_the_console_by_a_redirect(house, leaf, aws):
    browser = house.browser()
    url = reverse("console", args=[leaf.pk])
    assert "Console home" in browser.get(url).content.decode()
    chosen = {"service": "s3", "region": "eu-central-1"}
    page = browser.post(url, chosen).headers["Location"]
    assert "Signing you in" in browser.get(page).content.decode()
    console_sign_in.work_off()
    part = browser.get(page, headers={"HX-Request": "true", "HX-Target": "sign-in"})
    launch = part.headers["HX-Redirect"]
    sent = browser.get(launch)
    assert sent.status_code == 302
    query = parse_qs(urlsplit(sent.headers["Location"]).query)
    assert query["Action"] == ["login"]
    assert query["SigninToken"] == [TOKEN]
    assert query["Issuer"] == ["http://testserver/"]
    assert query["Destination"] == [
        "https://eu-central-1.console.aws.amazon.com/s3/home?region=eu-central-1"
    ]
    assert sent.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in sent.headers["Cache-Control"]
    assert "was used" in browser.get(launch, follow=True).content.decode()


def test_without_an_override_the_person_is_sent_to_aws_itself(house, leaf, aws, settings):
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    settings.CONSOLE_FEDERATION_URL = ""
    sent = house.browser().get(reverse("console_launch", args=[asked.pk]))
    assert sent.headers["Location"].startswith(
        "https://eu-west-1.signin.aws.amazon.com/federation?Action=login&"
    )


def test_another_person_sees_nothing_of_a_sign_in(house, leaf, aws):
    asked = ask(leaf, house.ben)
    console_sign_in.work_off()
    for name in ("console_sign_in", "console_launch"):
        answer = house.browser(house.bea).get(reverse(name, args=[asked.pk]), follow=True)
        assert TOKEN not in answer.content.decode()
    assert ConsoleSignIn.objects.filter(sealed__isnull=False).exists()


def test_a_runbooks_link_names_what_it_opens_and_asks(house, leaf, aws):
    browser = house.browser()
    url = reverse("go", args=["DEPLOY"])
    page = browser.get(url, {"to": "/cloudwatch/home?region=eu-west-1#logs"}).content.decode()
    for said in ("111122223333", "https://console.aws.amazon.com/cloudwatch/home", "ben"):
        assert said in page
    assert house.events(ConsoleSignedIn) == []
    answer = browser.post(reverse("console", args=[leaf.pk]), {"to": "/s3/home"})
    assert answer.status_code == 302
    assert house.events(ConsoleSignedIn)[-1].data["destination"].endswith("amazon.com/s3/home")


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example/",
        "https://console.aws.amazon.com.evil.example/",
        "https://console.aws.amazon.com@evil.example/",
        "https://evil.example/.console.aws.amazon.com/",
        "javascript:alert(1)",
        "/a b",
        "/\r\nSet-Cookie:a=b",
    ],
)
def test_a_link_to_elsewhere_is_refused(house, leaf, aws, to):
    page = house.browser().get(reverse("go", args=["Deploy"]), {"to": to}).content.decode()
    assert "cannot be opened" in page
    refused = house.browser().post(reverse("console", args=[leaf.pk]), {"to": to})
    assert refused.status_code == 422
    assert house.events(ConsoleSignedIn) == []


def test_a_link_wants_a_login_first_and_an_alias_that_is_there(house, leaf, client):
    assert "/login" in client.get(reverse("go", args=["Deploy"])).headers["Location"]
    assert house.browser().get(reverse("go", args=["Nothing"])).status_code == 404


def test_where_the_policy_narrows_the_page_asks_again_with_its_delivery(house, aws):
    TeamPolicy.objects.update_or_create(team=house.team, defaults={"scoping": "required"})
    leaf = house.chained("Narrow", member=house.ben)
    house.start(leaf)
    house.work()
    browser, url = house.browser(), reverse("console", args=[leaf.pk])
    chosen = {"service": "s3", "region": "eu-west-1"}
    waiting = browser.post(url, chosen)
    assert "Narrowing" in waiting.content.decode()
    assert house.events(ConsoleSignedIn) == []
    begun = str(Delivery.objects.get().pk)
    house.work()
    answer = browser.post(url, chosen | {"delivery": begun}, headers={"HX-Request": "true"})
    assert "HX-Redirect" in answer.headers
    console_sign_in.work_off()
    assert len(aws.asked) == 1
    child = Delivery.objects.get().credential
    assert house.events(ConsoleSignedIn)[-1].data["access_key_id"] == child.access_key_id
    assert house.events(CredentialRevealed)[-1].data["delivery"] == begun
