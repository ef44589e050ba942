"""Write logins, logouts and changes of one's own account into the ledger.

A login has its line before it is one: without a line there is none. A logout goes through even
where its line cannot be written, which the log then says.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import structlog
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.db import DatabaseError, transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from sessions.ledger import LedgerError
from sessions.ledger.events import EventData
from sessions.ledger.events.accounts import (
    FactorAdded,
    FactorRemoved,
    IdentityConnected,
    IdentityDisconnected,
    LoggedIn,
    LoggedOut,
    RecoveryCodesCreated,
    RecoveryCodeUsed,
)
from sessions.models import User
from sessions.people.failed_log_ins import CODE, count_failure, tell_of_failures_of
from sessions.people.own_account import record

log = structlog.get_logger(__name__)
View = Callable[..., HttpResponse]

NEW_ACCOUNT = "a new account"
IDENTITY_PROVIDER = "identity provider"
FACTORS = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery code",
}


def record_log_in(request: HttpRequest, user: User, *, confirms: bool) -> None:
    """Write the line of a login that is about to be one, after the failures before it."""
    records = get_authentication_records(request, user)
    how = dict.fromkeys(_way(each) for each in records)
    providers = [each["provider"] for each in records if each.get("provider")]
    said = LoggedIn(
        how=tuple(how) or (NEW_ACCOUNT,),
        provider=str(providers[-1]) if providers else "",
        confirms=confirms,
    )
    with transaction.atomic():
        tell_of_failures_of(user)
        record(user, said)


def _way(step: dict[str, Any]) -> str:
    """Name one step of a login, as the library keeps it."""
    match step.get("method"):
        case "mfa":
            return str(FACTORS.get(step.get("type", ""), step.get("type")))
        case "socialaccount":
            return IDENTITY_PROVIDER
    return str(step.get("method")).replace("_", " ")


def record_log_out(user: User, said: EventData | None = None) -> None:
    """Write the line of a logout that has happened."""
    try:
        record(user, said or LoggedOut())
    except (DatabaseError, LedgerError) as error:
        log.error("a logout has no line in the ledger", error=type(error).__name__)


# --- one transaction for a change and its line ----------------------------------------------------


@contextmanager
def one_transaction(request: HttpRequest) -> Iterator[None]:
    """Commit what is changed inside together with its line; send mail about it after that.

    No mail server is waited for while a ledger is held.
    """
    mails: list[Callable[[], None]] = []
    request.mails_after_commit = mails  # type: ignore[attr-defined]  # the adapter looks for it
    try:
        with transaction.atomic(durable=True):
            yield
    finally:
        del request.mails_after_commit  # type: ignore[attr-defined]
    for send in mails:
        send()


def with_its_line(view: View) -> View:
    """Make what a POST to a page of the library changes one transaction with its line."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        with one_transaction(request):
            return view(request, *args, **kwargs)

    return answer


# --- what the libraries tell of -------------------------------------------------------------------


def name_of(authenticator: Authenticator) -> str:
    """Return what a person calls a passkey; other factors have no name."""
    if authenticator.type != Authenticator.Type.WEBAUTHN:
        return ""
    return str(authenticator.wrap().name)


@receiver(post_save, sender=Authenticator)
def record_factor(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    # The library tells of most only after the commit.
    if not created:
        return
    if instance.type == Authenticator.Type.RECOVERY_CODES:
        record(instance.user, RecoveryCodesCreated())
    else:
        factor = FACTORS[instance.type]
        record(instance.user, FactorAdded(factor=factor, name=name_of(instance)))


@receiver(mfa.authenticator_removed)
def record_removed_factor(user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    factor = FACTORS[authenticator.type]
    record(user, FactorRemoved(factor=factor, name=name_of(authenticator)))


@receiver(mfa.authenticator_used)
def record_used_code(user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        left = Authenticator.objects.get(pk=authenticator.pk).wrap().get_unused_codes()
        record(user, RecoveryCodeUsed(left=len(left)))


@receiver(mfa.authentication_failed)
def count_wrong_code(user: User, **kwargs: Any) -> None:
    count_failure(CODE, user=user)


@receiver(social_account_added)
def record_identity(sociallogin: SocialLogin, **kwargs: Any) -> None:
    account = sociallogin.account
    try:
        record(account.user, IdentityConnected(provider=account.provider, uid=account.uid))
    except (DatabaseError, LedgerError):
        # The library has stored it already, and it would let somebody in from now on.
        account.delete()
        raise


@receiver(social_account_removed)
def record_lost_identity(socialaccount: SocialAccount, **kwargs: Any) -> None:
    said = IdentityDisconnected(provider=socialaccount.provider, uid=socialaccount.uid)
    record(socialaccount.user, said)


def deferred_by(mail: Callable[[], None]) -> bool:
    """Keep a mail until the transaction of the request at hand is committed, if it has one."""
    mails: list[Callable[[], None]] | None = getattr(context.request, "mails_after_commit", None)
    if mails is None:
        return False
    mails.append(mail)
    return True
