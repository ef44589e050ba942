"""Verify a person's email address: it resets a password only after its link was opened.

The address in use stays until the new one is verified, and is told of it twice: when the change is
asked for, and when it is made. Addresses that nobody has verified, whoever entered them, reset no
password.
"""

from allauth.account import forms as library
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.db import transaction
from django.http import HttpRequest

from sessions.ledger.events.accounts import EmailAsked, EmailChanged
from sessions.models import User
from sessions.people.own_account import record

ASKED = "account/email/email_change_asked"
REMOVED = "account/email/email_deleted"


def address_of(user: User) -> EmailAddress | None:
    """Return the address in use, verified or not; it may not have a row yet."""
    if not user.email:
        return None
    found = EmailAddress.objects.filter(user=user, email__iexact=user.email).first()
    return found or EmailAddress(user=user, email=user.email.lower(), primary=True)


def awaited_address_of(user: User) -> EmailAddress | None:
    """Return the new address that waits for its link to be opened.

    It then replaces the one in use.
    """
    others = EmailAddress.objects.filter(user=user, verified=False).exclude(
        email__iexact=user.email
    )
    return others.first()


def ask_for_address(request: HttpRequest, user: User, email: str) -> None:
    """Send a link to a new address, and word to the old one.

    A second request for the same address sends a new link.
    """
    old, email = address_of(user), email.lower()
    with transaction.atomic():
        # One address waits at a time. Its row is its own: a link speaks of a row, and must verify
        # nothing that came later.
        kept = {email, old.email if old else email}
        EmailAddress.objects.filter(user=user, verified=False).exclude(email__in=kept).delete()
        if old is not None and old.pk is None:
            old.save()
        new, _ = EmailAddress.objects.get_or_create(user=user, email=email)
        if not new.verified:
            record(user, EmailAsked(before=user.email, after=email))
    if not new.verified:
        send_verification_email_to_address(request, new)
        if old is not None and old != new:
            told = {"from_email": old.email, "to_email": email}
            get_adapter(request).send_notification_mail(ASKED, user, told, email=old.email)


def remove_address(request: HttpRequest, user: User) -> None:
    """Have no address any more; the one that was is told."""
    old = user.email
    with transaction.atomic():
        if old:
            record(user, EmailChanged(before=old, after=""))
        EmailAddress.objects.filter(user=user).delete()
        user.email = ""
        user.save(update_fields=["email"])
    if old:
        get_adapter(request).send_notification_mail(
            REMOVED, user, {"deleted_email": old}, email=old
        )


class ResetPasswordForm(library.ResetPasswordForm):  # type: ignore[misc]  # allauth is untyped
    """Send a link to verified addresses alone, with the same answer for everybody."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        owners = EmailAddress.objects.filter(
            email=email.lower(), verified=True, user__is_active=True
        )
        self.users = [address.user for address in owners.select_related("user")]
        return email
