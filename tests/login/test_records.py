"""Logins, logouts and changes of one's own account have their line in every team's ledger."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.signals import social_account_added
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.actors import OPERATOR, NamedActor
from sessions.db.clock import database_now
from sessions.ledger import LedgerError
from sessions.ledger.events import KINDS, read
from sessions.ledger.events.accounts import (
    EmailAsked,
    EmailChanged,
    FactorAdded,
    FactorRemoved,
    FactorRenamed,
    LoggedIn,
    LoggedOut,
    LogInFailed,
    OtherLogInsEnded,
    PasswordChanged,
    RecoveryCodesCreated,
    RecoveryCodeUsed,
)
from sessions.ledger.origin import Origin
from sessions.models import Event, FailedLogIns, Role
from sessions.people import failed_log_ins
from sessions.people.failed_log_ins import QUIET, tell_of_failures
from sessions.people.memberships import set_person_active
from sessions.people.people import add_member, create_person
from sessions.secret import Secret
from sessions.tasks import sweep_now
from tests.house import PASSWORD, TeamFixture
from tests.ledger.refusing import refuse_lines
from tests.login.browsers import log_in, recovery_codes, with_totp
from tests.races import Aside, held_head

pytestmark = pytest.mark.django_db

ACCOUNT_KINDS = {each.tag for each in KINDS.values() if each.__module__ == LoggedIn.__module__}


def told(house, *kinds):
    """Return what the ledger says of accounts, or of these kinds."""
    wanted = {each.tag for each in kinds} or ACCOUNT_KINDS
    return [read(line.kind, line.data) for line in house.events() if line.kind in wanted]


def actors(house):
    return {line.actor for line in house.events() if line.kind in ACCOUNT_KINDS}


# --- logins --------------------------------------------------------------------------------------


def test_a_log_in_says_by_what_and_from_where(house):
    browser = Client(REMOTE_ADDR="192.0.2.17", HTTP_USER_AGENT="Firefox")
    log_in(browser)
    assert told(house) == [LoggedIn(how=("password",))]
    [line] = house.events(LoggedIn)
    assert line.actor == "ben"
    assert Origin.read(line.data) == Origin(address="192.0.2.17", client="Firefox")


def test_a_log_in_with_a_recovery_code_says_both_steps(house):
    with_totp(house)
    codes = recovery_codes(house)
    client = Client()
    log_in(client)
    assert told(house, LoggedIn) == []  # half of one is none
    client.post(reverse("mfa_authenticate"), {"code": codes[0]})
    assert told(house, LoggedIn) == [LoggedIn(how=("password", "recovery code"))]
    assert told(house, RecoveryCodeUsed) == [RecoveryCodeUsed(left=9)]


def test_a_log_in_is_told_in_each_of_a_persons_teams(house, sts):
    other = TeamFixture(sts, slug="data")
    add_member(other.team, house.ben.user, Role.MEMBER, NamedActor("tests"))
    log_in(Client())
    assert told(house) == told(other) == [LoggedIn(how=("password",))]


def test_without_its_line_there_is_no_log_in(house):
    refuse_lines()
    client = Client(raise_request_exception=False)
    assert log_in(client).status_code == 503
    assert client.get("/").headers["Location"].startswith("/accounts/login/")


def test_a_log_out_has_a_line_and_goes_through_without_one(house):
    client = Client()
    log_in(client)
    client.post(reverse("account_logout"))
    assert told(house)[1:] == [LoggedOut()]
    log_in(client)
    refuse_lines()
    assert client.post(reverse("account_logout")).status_code == 302
    assert client.get("/").headers["Location"].startswith("/accounts/login/")


def test_ending_other_log_ins_says_how_many(house):
    browsers = [Client() for _ in range(3)]
    for each in browsers:
        log_in(each)
    browsers[0].post(reverse("usersessions_list"))
    assert told(house)[-1] == OtherLogInsEnded(number=2)


# --- failures -------------------------------------------------------------------------------------


def test_failures_are_counted_and_told_without_what_was_typed(house):
    for _ in range(3):
        log_in(Client(REMOTE_ADDR="192.0.2.1"), password="hunter2hunter2")
    log_in(Client(REMOTE_ADDR="192.0.2.2"), username="BEN", password="hunter2hunter2")
    assert told(house) == []
    sweep_now()
    [failed] = told(house)
    assert (failed.people, failed.what, failed.times) == (("ben",), "password", 4)
    assert set(failed.addresses) == {"192.0.2.1", "192.0.2.2"}
    assert failed.since <= failed.until
    assert not any("hunter2" in str(line.data) for line in house.events())
    assert failed.concerns("ben")


def test_a_flood_of_failures_is_one_line_an_hour(house, monkeypatch):
    for _ in range(60):
        failed_log_ins.count_failure("password", user=house.ben.user)
        tell_of_failures()
    assert [each.times for each in told(house)] == [1]
    FailedLogIns.objects.update(told_at=database_now() - QUIET)
    tell_of_failures()
    assert [each.times for each in told(house)] == [1, 59]
    tell_of_failures()
    assert len(told(house)) == 2


def test_a_log_in_tells_of_the_failures_before_it_first(house):
    log_in(Client(REMOTE_ADDR="192.0.2.9"), password="wrong")
    log_in(Client(REMOTE_ADDR="192.0.2.17"))
    failed, done = house.events()[-2:]
    assert (failed.kind, failed.actor, done.kind) == (LogInFailed.tag, "worker", LoggedIn.tag)
    # The counted failures came from elsewhere than the login that tells of them.
    assert Origin.read(failed.data) == Origin()


def test_names_of_nobody_are_counted_alike_and_kept_nowhere(house):
    def queries_of(name):
        log_in(Client(), username=name, password="wrong")  # the row is there
        with CaptureQueries() as found:
            log_in(Client(), username=name, password="wrong")
        return [re.sub(r"'[^']*'|\d+|%s", "?", each["sql"]).split(" WHERE ")[0] for each in found]

    assert queries_of("ben") == queries_of("nobody-of-that-name")
    lines = len(house.events())
    tell_of_failures()
    assert len(house.events()) == lines + 1  # ben's
    assert not FailedLogIns.objects.filter(times__gt=0).exists()
    assert not any("nobody-of" in str(row.__dict__) for row in FailedLogIns.objects.all())


class CaptureQueries:
    def __enter__(self):
        from django.test.utils import CaptureQueriesContext

        self.context = CaptureQueriesContext(connection)
        return self.context.__enter__()

    def __exit__(self, *error):
        return self.context.__exit__(*error)


def test_a_flood_does_not_touch_the_ledgers_head(lasting_house):
    house = lasting_house
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer")
    with held_head(house.team):
        answer = Aside(lambda: log_in(Client(), password="wrong"))
        assert answer.result().status_code == 200


def test_a_wrong_code_after_the_right_password_is_told(house):
    with_totp(house)
    client = Client()
    log_in(client)
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    tell_of_failures()
    assert [each.what for each in told(house, LogInFailed)] == ["one-time code"]


def test_a_passkey_that_is_none_is_counted(house):
    client = Client()
    client.get(reverse("mfa_login_webauthn"), headers={"Accept": "application/json"})
    client.post(reverse("mfa_login_webauthn"), {"credential": '{"id": "x"}'})
    assert FailedLogIns.objects.get().what == "passkey"


def test_a_switched_off_persons_right_password_is_a_failure(house):
    set_person_active(house.ben.user, False, OPERATOR)
    log_in(Client())
    tell_of_failures()
    assert [each.what for each in told(house, LogInFailed)] == ["account disabled"]


# --- second factors -------------------------------------------------------------------------------


def test_second_factors_are_told_when_added_and_removed(house):
    ben, _ = with_totp(house)
    assert told(house) == [FactorAdded(factor="authenticator app"), RecoveryCodesCreated()]
    ben.post(reverse("mfa_generate_recovery_codes"))
    assert told(house)[2:] == [RecoveryCodesCreated()]
    ben.post(reverse("mfa_deactivate_totp"))
    assert told(house)[3:] == [
        FactorRemoved(factor="authenticator app"),
        FactorRemoved(factor="recovery code"),
    ]
    assert actors(house) == {"ben"}


@pytest.mark.parametrize("route", ["mfa_deactivate_totp", "mfa_generate_recovery_codes"])
def test_a_factor_is_not_changed_without_its_line(house, route):
    ben, _ = with_totp(house)
    before = sorted(Authenticator.objects.values_list("pk", flat=True))
    refuse_lines()
    ben.raise_request_exception = False
    assert ben.post(reverse(route)).status_code == 503
    assert sorted(Authenticator.objects.values_list("pk", flat=True)) == before


def test_a_passkeys_new_name_is_told_with_the_old_one(house):
    ben, _ = with_totp(house)
    key = Authenticator.objects.create(
        user=house.ben.user, type="webauthn", data={"name": "Laptop", "credential": {}}
    )
    ben.post(reverse("mfa_edit_webauthn", args=[key.pk]), {"name": "Desk"})
    ben.post(reverse("mfa_remove_webauthn", args=[key.pk]))
    assert told(house)[2:] == [
        FactorAdded(factor="passkey", name="Laptop"),
        FactorRenamed(name="Desk", name_before="Laptop"),
        FactorRemoved(factor="passkey", name="Desk"),
    ]


# --- passwords and addresses ----------------------------------------------------------------------


def test_a_new_password_is_told_by_page_and_by_command(house, monkeypatch):
    ben, new = house.browser(), "another horse entirely"
    ben.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
    )
    assert told(house) == [PasswordChanged(member="ben", how="by page")]
    monkeypatch.setattr("getpass.getpass", lambda prompt: "one more horse entirely")
    call_command("changepassword", "ben")
    assert told(house)[1:] == [PasswordChanged(member="ben", how="by the operator")]
    assert [line.actor for line in house.events(PasswordChanged)] == ["ben", "manage.py"]
    assert not any("horse" in str(line.data) for line in house.events())


def test_addresses_are_told_as_they_were_and_are(house, settings):
    settings.MAIL_ENABLED = settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    ben = house.browser()
    ben.post(reverse("account_email"), {"email": "ben@example.com"})
    assert told(house) == [EmailAsked(before="", after="ben@example.com")]
    link = re.search(r"http\S+", mail.outbox[-1].body)[0]
    ben.post(link)
    assert told(house)[1:] == [EmailChanged(before="", after="ben@example.com")]
    ben.post(reverse("account_email"), {"email": ""})
    assert told(house)[2:] == [EmailChanged(before="ben@example.com", after="")]


def test_an_identity_is_not_connected_without_its_line(house):
    account = SocialAccount.objects.create(user=house.ben.user, provider="sso", uid="ben")
    refuse_lines()
    with pytest.raises(LedgerError):
        social_account_added.send(SocialLogin, sociallogin=SocialLogin(account=account))
    assert not SocialAccount.objects.exists()


def test_a_person_of_no_team_logs_in_with_no_line(house):
    create_person("nora", Secret(PASSWORD))
    lines = Event.objects.count()
    assert log_in(Client(), username="nora").status_code == 302
    log_in(Client(), username="nora", password="wrong")
    tell_of_failures()
    assert Event.objects.count() == lines
