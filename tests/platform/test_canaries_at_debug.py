"""Use every kind of secret once at LOG_LEVEL=DEBUG; none is in the log."""

import re
import time

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws.credentials import AwsCredentials
from sessions.delivery.reveal import reveal
from sessions.ledger import signing
from sessions.models import AwsSession
from tests.api.tool import Api
from tests.house import PASSWORD
from tests.ledger.checkpoint_keys import PRIVATE, PUBLIC
from tests.login.browsers import code_of, log_in
from tests.platform.canaries import find
from tests.platform.logged import logged

pytestmark = pytest.mark.django_db

WRONG = "a wrong password of canaries"
NEW = "another horse entirely"


@pytest.fixture
def loud(settings):
    """Log at DEBUG, with the queries that Django would only log in debug mode."""
    connection.force_debug_cursor = True
    with logged("DEBUG") as written:
        yield written
    connection.force_debug_cursor = False


def cookies_of(*clients):
    return [
        cookie.value
        for client in clients
        for cookie in client.cookies.values()
        if len(cookie.value) > 8
    ]


def test_passwords_cookies_seeds_and_codes(house, loud):
    client = Client()
    form = client.get(reverse("account_login")).content.decode()
    log_in(client, password=WRONG)
    log_in(client)
    seed = re.search(
        r'value="([A-Z2-7]{16,})"', client.get(reverse("mfa_activate_totp")).content.decode()
    )[1]
    code = code_of(seed)
    assert client.post(reverse("mfa_activate_totp"), {"code": code}).status_code == 302
    page = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    codes = re.search(r"<textarea[^>]*>([^<]+)</textarea>", page)[1].split()
    client.get(reverse("mfa_download_recovery_codes"))
    other = Client()
    log_in(other)
    other.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert other.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == 302
    words = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert other.post(reverse("account_change_password"), words).status_code == 302
    csrf = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert len(codes) == 10
    assert csrf
    secrets = [PASSWORD, WRONG, NEW, seed, *codes, *csrf, *cookies_of(client, other)]
    assert find(secrets, {"the log": loud.getvalue().encode()}) == []


def test_tokens_invitations_and_the_links_of_mails(house, loud, settings):
    settings.MAIL_ENABLED = settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    ada = house.browser(house.ada)
    page = ada.post(
        reverse("tokens", args=[house.team.slug]),
        {"name": "laptop", "days": 30, "scopes": ["read", "use"], "session": ""},
    ).content.decode()
    token = re.search(r'id="token">(cwt_[^<]+)<', page)[1]
    assert (
        Client().get("/api/v1/sessions", headers={"Authorization": f"Bearer {token}"}).status_code
        == 200
    )
    assert (
        Client().get("/api/v1/sessions", headers={"Authorization": f"Basic {token}"}).status_code
        == 401
    )
    page = ada.post(
        reverse("invite", args=[house.team.slug]), {"role": "member", "note": "", "days": 7}
    )
    invitation = re.search(r"/join/#([\w-]+)", page.content.decode())[1]
    guest = Client()
    assert guest.post(reverse("join"), {"code": invitation}).status_code == 302
    ada.post(reverse("account_email"), {"email": "ada@team.example"})
    [link] = re.findall(r"http://testserver(/accounts/email/confirm/\S+)", mail.outbox[-1].body)
    assert Client().post(link).status_code == 302
    Client().post(reverse("account_reset_password"), {"email": "ada@team.example"})
    keys = [
        key for each in mail.outbox for key in re.findall(r"/(?:key|confirm)/([^/\s]+)/", each.body)
    ]
    for each in mail.outbox:
        for link in re.findall(r"http://testserver(\S+)", each.body):
            Client().get(link, follow=True)
    assert len(keys) == 2
    secrets = [token, invitation, *keys, *cookies_of(ada, guest)]
    assert find(secrets, {"the log": loud.getvalue().encode()}) == []


def test_root_keys_credentials_and_the_answers_of_sts(house, loud, settings):
    key = house.sts.add_user("canary", account="111122223333")
    ada = house.browser(house.ada)
    form = reverse("new_session_form", args=[house.team.slug, "aws", "iam-user"])
    words = {"alias": "Canary", "profile": "canary", "region": "eu-west-1"}
    words |= {
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }
    assert ada.post(form, words).status_code == 302
    root = AwsSession.objects.get(alias="Canary")
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    got: AwsCredentials = reveal(leaf, Actor(house.ben), form="process", via="tests")
    api = Api(house.token())
    assert api("GET", f"/sessions/{leaf.pk}/credentials?format=env").status_code in {200, 422}
    assert api("GET", f"/sessions/{leaf.pk}/credentials").status_code == 200
    refused = house.chained("Refused", root, arn=house.role_arn("Closed", trusts=[]))
    house.start(refused)
    house.work()
    secrets = [
        key.secret_access_key.reveal(),
        got.secret_access_key.reveal(),
        got.session_token.reveal(),
    ]
    secrets += [house.token().reveal(), *_keys(settings)]
    assert find(secrets, {"the log": loud.getvalue().encode()}) == []


def _keys(settings):
    texts = (settings.CHAINWEB_SEAL_KEYS, settings.CHAINWEB_ROOT_KEYS)
    return [
        settings.SECRET_KEY,
        *(each.partition(":")[2] for text in texts for each in text.split(",")),
    ]


def test_the_key_of_checkpoints_and_a_token_in_their_address(house, loud, settings, tmp_path):
    token = "a-token-of-canaries"
    settings.CHAINWEB_CHECKPOINT_KEY, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = PRIVATE, PUBLIC
    settings.CHAINWEB_CHECKPOINT_FILE = str(tmp_path / "checkpoints.jsonl")
    settings.CHAINWEB_CHECKPOINT_WEBHOOK = f"https://127.0.0.1:1/{token}"
    signing.sign_and_send()
    assert "checkpoints are not sent outside" in loud.getvalue()
    stores = {"the log": loud.getvalue().encode()}
    stores["the file"] = (tmp_path / "checkpoints.jsonl").read_bytes()
    assert stores["the file"]
    assert find([PRIVATE.partition(":")[2], token], stores) == []


def test_a_code_for_a_root_with_mfa(house, loud):
    """An authenticator's code is good once, within half a minute; it is in no log all the same."""
    code = f"{int(time.time()) % 10**6:06d}"
    leaf = house.chained("Needs code")
    house.browser().post(reverse("give_code", args=[leaf.pk]), {"code": code})
    assert code not in re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+", "", loud.getvalue())
