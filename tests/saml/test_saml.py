"""Log in by SAML against a provider that others wrote.

Who gets in, as what, and what is refused.
"""

import base64
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from urllib.parse import parse_qsl, urlencode

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor
from sessions.ledger.events.accounts import IdentityConnected, LoggedIn, LoggedOut
from sessions.ledger.events.people import MemberAdded
from sessions.login.saml.provider import TRANSIENT, authn_instant
from sessions.models import Membership, Role, User
from sessions.people.invitations import invite
from sessions.urls import saml
from tests.harness.processes import CHECKOUT
from tests.house import PASSWORD
from tests.identity_providers import IdentityProvider
from tests.platform.canaries import find
from tests.platform.logged import logged
from tests.saml.conftest import HERE, altered, plain, signing_pair

pytestmark = pytest.mark.django_db

MAP = "aws-admins=platform:admin,aws-users=platform:member"
USERNAME = "urn:oid:0.9.2342.19200300.100.1.1"
SUBJECT = "urn:oasis:names:tc:SAML:attribute:subject-id"
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"


@pytest.fixture
def grace(house, saml_idp, connect_saml, person):
    """Somebody of the provider's, whose groups make her an admin."""
    connect_saml(saml_idp, MAP)
    saml_idp.person(
        "grace",
        groups=["aws-admins", "others"],
        **{USERNAME: "grace.hopper", MAIL: "g@navy.example"},
    )
    return person("grace")


def role_of(name):
    return Membership.objects.get(user__username=name, team__slug="platform").role


def is_out(person):
    return "_auth_user_id" not in person.client.session


def test_groups_make_a_new_person_a_member_of_their_team(house, grace):
    answer = grace.come_in()
    assert answer.status_code == 302, answer.content
    user = User.objects.get(username="grace.hopper")
    assert (role_of("grace.hopper"), user.aws_name, user.email) == (
        "admin",
        "grace.hopper",
        "g@navy.example",
    )
    assert not user.has_usable_password()
    event = house.events(MemberAdded)[-1]
    assert (event.actor, event.data["member"]) == ("sso", "grace.hopper")


def test_roles_follow_the_groups_at_each_log_in_and_end_with_them(saml_idp, grace):
    grace.come_in()
    saml_idp.person("grace", groups="aws-users")
    grace.come_in()
    assert role_of("grace.hopper") == "member"
    saml_idp.person("grace", **{USERNAME: "grace.hopper"})
    grace.come_in()
    assert not Membership.objects.filter(user__username="grace.hopper").exists()
    assert grace.client.get(reverse("session_list", args=["platform"])).status_code == 404


def test_who_has_no_group_that_is_mapped_gets_no_account(saml_idp, grace, person):
    saml_idp.person("mallory", groups=["others"])
    assert "Accounts need an invitation" in person("mallory").come_in().content.decode()
    assert not SocialAccount.objects.exists()


def test_an_invited_person_comes_in_without_a_group(house, saml_idp, connect_saml, person):
    connect_saml(saml_idp)
    saml_idp.person("alan", **{MAIL: "alan@bletchley.example"})
    alan = person("alan")
    _, code = invite(Actor(house.ada), Role.AUDITOR)
    alan.client.post(reverse("join"), {"code": code.reveal()})
    alan.come_in()
    assert role_of("alan@bletchley.example") == "auditor"
    assert User.objects.get(username="alan@bletchley.example").aws_name == "alan"


def test_a_member_connects_their_account_and_then_logs_in_by_it(
    house, saml_idp, connect_saml, person
):
    connect_saml(saml_idp)
    saml_idp.person("ben-at-idp", **{MAIL: "x@y.example"})
    ben = person("ben-at-idp")
    ben.client.post(reverse("account_login"), {"login": "ben", "password": PASSWORD})
    ben.come_in("/accounts/saml/saml/login/?process=connect")
    assert SocialAccount.objects.get().user == house.ben.user
    ben.client.post(reverse("account_logout"))
    ben.come_in()
    assert ben.client.session["_auth_user_id"] == str(house.ben.user_id)
    told = [line for line in house.events() if line.actor == "ben"]
    assert [line.kind for line in told] == [
        LoggedIn.tag,
        IdentityConnected.tag,
        LoggedOut.tag,
        LoggedIn.tag,
    ]
    assert LoggedIn.read(told[0].data) == LoggedIn(how=("password",))
    assert LoggedIn.read(told[-1].data) == LoggedIn(how=("identity provider",), provider="saml")
    assert told[1].data["uid"] == SocialAccount.objects.get().uid


def test_sensitive_things_ask_the_provider_to_ask_again(grace):
    grace.come_in()
    assert grace.asked == 1
    wanted = reverse("invite", args=["platform"])
    # The first login was answered at once, but the provider was not told to ask: that proves
    # nothing about when.
    confirm = grace.client.get(wanted)
    assert confirm.headers["Location"].startswith("/accounts/saml/saml/login/")
    back = grace.come_in(confirm.headers["Location"])
    assert back.headers["Location"] == wanted
    assert grace.asked == 2
    assert grace.client.get(wanted).status_code == 200
    grace.asked_before(seconds=301)
    assert grace.client.get(wanted).status_code == 302


def test_a_round_without_a_question_at_the_provider_confirms_nothing(grace):
    wanted = reverse("invite", args=["platform"])
    grace.come_in()
    grace.come_in()
    assert grace.asked == 1, "the provider knew her"
    assert grace.client.get(wanted).status_code == 302


def test_what_one_browser_has_proved_says_nothing_of_another(grace, person):
    wanted = reverse("invite", args=["platform"])
    grace.come_in()
    elsewhere = person("grace")
    elsewhere.come_in()
    grace.come_in(grace.client.get(wanted).headers["Location"])
    assert grace.client.get(wanted).status_code == 200
    assert elsewhere.client.get(wanted).status_code == 302


def test_no_name_for_the_way_in_gets_round_the_groups(saml_idp, grace):
    grace.come_in()
    saml_idp.person("grace", **{USERNAME: "grace.hopper"})
    grace.come_in("/accounts/saml/saml/login/?process=x")
    assert not Membership.objects.filter(user__username="grace.hopper").exists()


def test_a_person_whom_the_operator_switched_off_does_not_come_in(grace):
    grace.come_in()
    grace.client.post(reverse("account_logout"))
    User.objects.filter(username="grace.hopper").update(is_active=False)
    assert grace.come_in().headers["Location"] == reverse("account_inactive")
    assert is_out(grace)


# --- answers that are not what they should be -----------------------------------------------------


def test_an_answer_that_was_changed_on_the_way_opens_nothing(grace):
    address, words = grace.answer_for()
    grace.hand_in(address, altered(words, (">grace.hopper<", ">ada<")))
    assert is_out(grace)
    assert not SocialAccount.objects.exists()


def test_an_answer_without_a_signature_opens_nothing(grace):
    address, words = grace.answer_for()
    signature = re.search(r"<Signature .*</Signature>", plain(words), re.DOTALL)[0]
    grace.hand_in(address, altered(words, (signature, "")))
    assert is_out(grace)


def test_an_answer_signed_by_another_key_opens_nothing(saml_folder, saml_idp, grace, person):
    # Says that it is the provider, but its key is another one.
    other = IdentityProvider(
        HERE / "provider.cjs",
        saml_folder,
        *signing_pair(saml_folder, "elsewhere.example"),
        saml_idp.issuer,
    )
    try:
        other.person("mallory", groups=["aws-admins"], **{USERNAME: "mallory"})
        mallory = person("mallory")
        mallory.hand_in(
            *mallory.at_the_provider(mallory.leaving().replace(saml_idp.issuer, other.url))
        )
    finally:
        other.stop()
    assert is_out(mallory)


def test_an_answer_is_good_once_and_only_in_the_browser_that_asked(grace, person):
    address, words = grace.answer_for()
    grace.hand_in(address, words)
    assert not is_out(grace)
    grace.client.post(reverse("account_logout"))
    grace.hand_in(address, words)
    assert is_out(grace), "handed in a second time"
    address, words = grace.answer_for()
    thief = person("thief")
    thief.hand_in(address, words)
    assert is_out(thief), "handed in by somebody else"


def test_an_answer_that_nobody_asked_for_opens_nothing(grace):
    address, words = grace.answer_for()
    asked = re.search(r' InResponseTo="[^"]+"', plain(words))[0]
    grace.hand_in(address, altered(words, (asked, "")))
    assert is_out(grace)


def test_an_unasked_answer_is_not_accepted_for_its_unsigned_part(grace):
    url, query = grace.leaving().split("?")
    query = dict(parse_qsl(query))
    request = zlib.decompress(base64.b64decode(query["SAMLRequest"]), -15).decode()
    asked = re.search(r' ID="([^"]+)"', request)
    packer = zlib.compressobj(wbits=-15)
    raw = packer.compress(request.replace(asked[0], "").encode()) + packer.flush()
    unasked = {"SAMLRequest": base64.b64encode(raw).decode(), "RelayState": ""}
    address, words = grace.at_the_provider(f"{url}?{urlencode(unasked)}")
    assert "InResponseTo" not in plain(words)
    answer = grace.hand_in(
        address, altered(words, (" Destination=", f' InResponseTo="{asked[1]}" Destination='))
    )
    assert answer.status_code == 403
    assert is_out(grace)


def test_a_person_who_is_another_one_each_time_gets_no_account(
    saml_folder, connect_saml, house, person
):
    provider = IdentityProvider(
        HERE / "provider.cjs", saml_folder, *signing_pair(saml_folder), "", TRANSIENT
    )
    try:
        connect_saml(provider, MAP)
        provider.person("grace", groups=["aws-admins"])
        grace = person("grace")
        assert grace.come_in().status_code == 403
        provider.person("grace", groups=["aws-admins"], **{SUBJECT: "grace@navy.example"})
        grace.come_in()
        assert not is_out(grace)
    finally:
        provider.stop()


@pytest.mark.parametrize("answer", ["", "PHg+", "no base64!", "////"])
def test_what_is_no_answer_at_all_is_refused_like_a_wrong_one(grace, answer):
    refused = grace.hand_in("/accounts/saml/saml/acs/", {"SAMLResponse": answer})
    assert refused.status_code == 401
    assert is_out(grace)


def test_an_answer_as_large_as_none_is_is_not_kept(grace):
    before = Session.objects.count()
    answer = grace.client.post("/accounts/saml/saml/acs/", {"SAMLResponse": "x" * 200_000})
    assert answer.status_code == 413
    assert Session.objects.count() == before


# A stranger and somebody logged in get the same of each, but for what asks to log out.
ROUTES = {
    "saml_login": (200, 200),
    "saml_acs": (302, 302),
    "saml_finish_acs": (401, 401),
    "saml_metadata": (200, 200),
    "saml_sls": (302, 200),
}


def test_every_address_of_saml_is_known_and_opens_nothing_by_itself(
    house, saml_idp, connect_saml, person
):
    connect_saml(saml_idp, MAP)
    stranger, ben = Client(headers={"Host": "testserver"}), house.browser(house.ben)
    ben.defaults["HTTP_HOST"] = "testserver"
    assert {each.name for each in saml.urlpatterns} == ROUTES.keys()
    for name, statuses in ROUTES.items():
        url = reverse(name, args=["saml"])
        assert tuple(client.get(url).status_code for client in (stranger, ben)) == statuses, name
    assert "_auth_user_id" not in stranger.session
    assert ben.session["_auth_user_id"] == str(house.ben.user_id), "asked, not logged out"
    for name in ROUTES:
        assert stranger.get(reverse(name, args=["other"])).status_code in {302, 404}, name


def test_a_moment_beside_the_signed_assertion_is_not_believed():
    names = (
        'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
        ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
    )
    beside = (
        "<samlp:Extensions><saml:AuthnStatement"
        ' AuthnInstant="2030-01-01T00:00:00Z"/></samlp:Extensions>'
    )
    inside = (
        "<saml:Assertion><saml:AuthnStatement"
        ' AuthnInstant="2026-01-01T00:00:00Z"/></saml:Assertion>'
    )
    assert authn_instant(f"<samlp:Response {names}>{beside}{inside}</samlp:Response>") == 1767225600
    assert authn_instant(f"<samlp:Response {names}>{beside}</samlp:Response>") == 0


# --- the environment alone ------------------------------------------------------------------------

# In a process of its own: which addresses there are is decided when the settings are read.
ASK = """
import django
django.setup()
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
call_command("migrate", verbosity=0)
client = Client(headers={"Host": "testserver"})
print(client.get("/accounts/saml/saml/metadata/").content.decode())
print("---")
answer = client.post("/accounts/saml/saml/login/?process=login")
print(answer.status_code, answer.headers["Refresh"])
"""


def test_the_environment_alone_switches_it_on(saml_idp):
    environ = {
        **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL"}},
        "SAML_IDP_METADATA_URL": f"{saml_idp.issuer}/metadata",
        "SAML_IDP_ENTITY_ID": saml_idp.issuer,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environ, cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ours, _, rest = done.stdout.partition("---\n")
    [acs] = [
        each for each in ET.fromstring(ours).iter() if each.tag.endswith("AssertionConsumerService")
    ]
    assert acs.attrib["Location"] == "http://testserver/accounts/saml/saml/acs/"
    assert 'WantAssertionsSigned="true"' in ours
    status, _, leaving = rest.split()
    assert status == "200"
    assert leaving.startswith(f"url={saml_idp.issuer}/sso?SAMLRequest=")


def test_at_debug_no_assertion_is_logged(grace):
    connection.force_debug_cursor = True
    with logged("DEBUG") as written:
        address, words = grace.answer_for()
        grace.hand_in(address, words)
        grace.hand_in(
            address, {**words, "SAMLResponse": base64.b64encode(b"no xml at all").decode()}
        )
    connection.force_debug_cursor = False
    assertion = words["SAMLResponse"]
    secrets = [assertion, plain(words)[200:400], plain(words)[-400:-200]]
    assert find(secrets, {"the log": written.getvalue().encode()}) == []
