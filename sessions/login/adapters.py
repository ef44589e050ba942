"""Decide who may make an account, what a new person gets, and what a recent login is.

Accounts are made by the operator, by an invitation, or by the identity provider's groups; never by
whoever passes by, unless the operator says so.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.account.models import EmailAddress
from allauth.account.signals import user_logged_in
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthError
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.crypto import salted_hmac

from sessions.exceptions import Refused
from sessions.ledger.events.accounts import EmailChanged, OtherLogInsEnded
from sessions.login import known_browsers
from sessions.login.records import (
    deferred_by,
    one_transaction,
    record_log_in,
    record_log_out,
)
from sessions.login.saml import FORCE_AUTHN, SAML
from sessions.login.session_store import BEGAN_KEY
from sessions.middleware.too_often import address_of
from sessions.models import Invitation, Robot, User
from sessions.monitoring import request_limits
from sessions.people.failed_log_ins import DISABLED, PASSWORD, PROVIDER, count_failure
from sessions.people.group_sync import follow_groups
from sessions.people.invitations import accept_invitation, open_invitation
from sessions.people.own_account import record
from sessions.people.people import RESERVED_USERNAMES, free_username, register_person
from sessions.people.second_factors import open_seed, seal_seed
from sessions.secret import Secret

INVITATION_KEY = "invitation"
ASKED_AT_KEY = "asked_at"
CONTINUES_KEY = "continues_log_in"  # [person, when it began]: the login that this one only confirms
NEW_PASSWORD_BY = {
    "account_change_password": "by page",
    "account_set_password": "by page, the first",
    "account_reset_password_from_key": "by a link in a mail",
}
OIDC = "sso"  # the id of the one OpenID provider, as in its callback's address


def not_reserved(username: str) -> None:
    """Refuse the names of the ledger's own actors as usernames."""
    if username.lower() in RESERVED_USERNAMES:
        raise ValidationError(
            "That name is reserved for the audit log. Choose another.", code="reserved"
        )


username_validators = [ASCIIUsernameValidator(), not_reserved]


def invitation_in_hand(request: HttpRequest) -> Invitation | None:
    """Return the invitation whose code this browser has shown, while it is open."""
    invitation_id = request.session.get(INVITATION_KEY)
    return open_invitation(invitation_id) if invitation_id else None


def _register_person(request: HttpRequest, user: User) -> None:
    """Save a new person, and make them a member if they were invited.

    Neither happens without the other.
    """
    invitation = invitation_in_hand(request)
    try:
        with transaction.atomic():
            register_person(user)
            if invitation is not None:
                accept_invitation(invitation, user)
    except Refused as refused:
        messages.error(request, refused.message)
        raise ImmediateHttpResponse(redirect("join")) from None
    request.session.pop(INVITATION_KEY, None)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.CHAINWEB_OPEN_SIGNUP or invitation_in_hand(request) is not None

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        super().save_user(request, user, form, commit=False)
        if commit:
            _register_person(request, user)
        return user

    def login(self, request: HttpRequest, user: User) -> None:
        """Log in, with its line in the ledger first."""
        person, _ = request.session.get(CONTINUES_KEY, (None, None))
        record_log_in(request, user, confirms=person == user.pk)
        super().login(request, user)

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Count whoever proves to be a person that the operator has switched off."""
        if not user.is_active:
            count_failure(DISABLED, user=user)
        elif Robot.objects.filter(user=user).exists():
            # However it came by a password, as from the command line: a robot acts by tokens.
            count_failure(DISABLED, user=user)
            return redirect("account_inactive")
        refused: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return refused

    def set_password(self, user: User, password: str) -> None:
        """Set a new password, and tell the ledger by which page."""
        match = getattr(context.request, "resolver_match", None)
        user.new_password_by = NEW_PASSWORD_BY.get(match.url_name if match else "", "by page")
        super().set_password(user, password)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Verify an address, and with it the change to it."""
        user, before, was_verified = (
            email_address.user,
            email_address.user.email,
            email_address.verified,
        )
        with one_transaction(request):
            is_confirmed: bool = super().confirm_email(request, email_address)
            if is_confirmed and not was_verified:
                record(user, EmailChanged(before=before, after=email_address.email))
        return is_confirmed

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail, after the commit of what it tells of."""
        send = partial(super().send_mail, template_prefix, email, context)
        if not deferred_by(send):
            send()

    def logout(self, request: HttpRequest) -> None:
        """Log out, and tell the ledger.

        The library also does so before a login at the provider that only confirms who is logged
        in.
        """
        continues, user = getattr(request, "continues_log_in", None), request.user
        super().logout(request)
        if continues:
            request.session[CONTINUES_KEY] = continues
        elif isinstance(user, User):
            record_log_out(user)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Count a wrong password, whether the name is anybody's or not."""
        super().authentication_failed(request, **credentials)
        name = _name_in(credentials)
        count_failure(PASSWORD, user=User.objects.filter(username__iexact=name).first(), name=name)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Slow down guesses of one password from many addresses.

        The person's own browsers are not counted in.
        """
        super().pre_authenticate(request, **credentials)
        name = _name_in(credentials)
        if not known_browsers.number_of(request, name):
            try:
                request_limits.count(request_limits.LOG_IN, salted_hmac("log-in", name).hexdigest())
            except request_limits.TooOften:
                raise self.validation_error("too_many_login_attempts") from None

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # The library's is the name alone: five failures by a stranger kept the person out.
        name = _name_in(credentials)
        browser = known_browsers.number_of(request, name)
        return f"{f'browser {browser}' if browser else address_of(request)} {name}"

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        return not is_recently_authenticated(context.request)


def _name_in(credentials: Mapping[str, Any]) -> str:
    return str(credentials.get("username") or credentials.get("email") or "").lower()


class UserSessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]  # allauth is untyped
    """Tell the ledger whose other logins a person has ended."""

    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        super().end_sessions(sessions)
        others = [each for each in sessions if not each.is_current()]
        if others:
            record_log_out(others[0].user, OtherLogInsEnded(number=len(others)))


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """Believe the identity provider for the accounts connected to it, and for its groups."""

    def get_requests_session(self) -> requests.Session:
        session: requests.Session = super().get_requests_session()
        session.max_redirects = 0  # the operator's address is the one that is asked, and no other
        return session

    def on_authentication_error(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Count an answer of the provider that lets nobody in."""
        super().on_authentication_error(request, *args, **kwargs)
        if kwargs.get("error") != AuthError.CANCELLED:
            count_failure(PROVIDER)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        if settings.CHAINWEB_OPEN_SIGNUP or invitation_in_hand(request) is not None:
            return True
        return bool(groups_of(sociallogin.account) & group_map(sociallogin.account).keys())

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        # The library takes every other process that a browser may name for a login.
        is_login = sociallogin.state.get("process") not in {"connect", "redirect"}
        if is_login and request.user.is_authenticated and request.user == sociallogin.user:
            began = request.session.get(BEGAN_KEY)
            request.continues_log_in = [request.user.pk, began]  # type: ignore[attr-defined]  # for `logout`
        if sociallogin.is_existing and is_login:
            _follow_groups_of(sociallogin)

    def validate_disconnect(self, account: SocialAccount, accounts: Any) -> None:
        """Keep an identity whose groups let people in.

        Taken off, it would come back as a person whom no admin removed.
        """
        if group_map(account):
            text = "Your groups at this identity provider decide your teams, so it stays connected."
            messages.error(context.request, text)  # the library's page shows no error of its form
            raise ValidationError(text)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        user: User = sociallogin.user
        data = form.cleaned_data if form else {}
        if email := data.get("email"):
            user.email = email
        user.username = free_username(
            data.get("username") or user.username or user.email or "member"
        )
        user.set_unusable_password()
        with transaction.atomic():
            _register_person(request, user)
            sociallogin.save(request)
        _follow_groups_of(sociallogin)
        return user


def _follow_groups_of(sociallogin: SocialLogin) -> None:
    account = sociallogin.account
    identity = (account.provider, account.uid)
    follow_groups(sociallogin.user, groups_of(account), group_map(account), identity)


def group_map(account: SocialAccount) -> Mapping[str, tuple[str, str]]:
    """Return {group: (team's short name, role)} of that account's provider.

    The operator has set it.
    """
    of_provider: Mapping[str, Mapping[str, tuple[str, str]]] = {
        OIDC: settings.OIDC_GROUPS,
        SAML: settings.SAML_GROUPS,
    }
    return of_provider.get(account.provider, {})


def groups_of(account: SocialAccount) -> set[str]:
    """Return the groups the provider names: in userinfo, in the ID token, in an attribute."""
    found: set[str] = set()
    for part, name in (
        ("userinfo", settings.OIDC_GROUPS_CLAIM),
        ("id_token", settings.OIDC_GROUPS_CLAIM),
        ("attributes", settings.SAML_GROUPS_ATTRIBUTE),
    ):
        claim = (account.extra_data.get(part) or {}).get(name, [])
        found.update(
            each for each in ([claim] if isinstance(claim, str) else claim) if isinstance(each, str)
        )
    return found


@receiver(user_logged_in)
def remember_the_browser(
    request: HttpRequest, response: HttpResponse, user: User, **kwargs: Any
) -> None:
    """Remember the browser: others' failures do not keep its person out there."""
    known_browsers.remember(request, response, user.get_username())


@receiver(user_logged_in)
def remember_when_asked(
    request: HttpRequest, sociallogin: SocialLogin | None = None, **kwargs: Any
) -> None:
    """Look in the session of this browser alone.

    Another session of the same person has proved nothing by it.
    """
    request.session[ASKED_AT_KEY] = asked_at(sociallogin) if sociallogin else 0
    person, began = request.session.pop(CONTINUES_KEY, (None, None))
    if began and person == request.user.pk:
        request.session[BEGAN_KEY] = began


def asked_at(sociallogin: SocialLogin) -> int:
    """Return when the provider asked the person last, in seconds since 1970; 0 if it did not say.

    OpenID Connect: `auth_time`, which it says if it was told to ask (OpenID Connect Core 1.0, 2).
    SAML: `AuthnInstant`, of an answer to a request that told it to ask, since some providers name
    the moment of any answer.
    """
    known = sociallogin.account.extra_data
    if sociallogin.account.provider == SAML:
        said = known.get("authn_instant") if sociallogin.state.get(FORCE_AUTHN) else 0
    else:
        said = (known.get("id_token") or {}).get("auth_time")
    return said if isinstance(said, int) else 0


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped
    """Seal the seeds of one-time codes as credentials are."""

    def encrypt(self, text: str) -> str:
        return seal_seed(Secret(text))

    def decrypt(self, encrypted_text: str) -> str:
        return open_seed(encrypted_text).reveal()


def is_recently_authenticated(request: HttpRequest) -> bool:
    """Tell if the person has proved who they are within the last five minutes.

    A password, a passkey or a code counts; a round through the identity provider only if that says
    it asked them.
    """
    if not request.user.is_authenticated:
        return False
    earliest = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    recent = [r for r in get_authentication_records(request, request.user) if r["at"] > earliest]
    if any(record["method"] in {"password", "mfa"} for record in recent):
        return True
    if any(record["method"] == "socialaccount" for record in recent):
        return bool(request.session.get(ASKED_AT_KEY, 0) > earliest)
    return False


def can_confirm_here(user: User) -> bool:
    """Tell if the person has a password, a passkey or an authenticator to confirm with."""
    return bool(get_reauthentication_flows(user))
