"""Count failed passkeys, of which the library tells nobody, and record a passkey's new name."""

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms as library
from django.core.exceptions import ValidationError

from sessions.ledger.events.accounts import FactorRenamed
from sessions.login.records import name_of
from sessions.people.failed_log_ins import PASSKEY, count_failure
from sessions.people.own_account import record


class _Counting:
    user: Any

    def clean_credential(self) -> Authenticator:
        # Whose passkey an answer says to be is believed only of one that is good.
        try:
            return super().clean_credential()  # type: ignore[misc]  # of the library's form
        except ValidationError:
            count_failure(PASSKEY, user=self.user)
            raise
        except (KeyError, TypeError, ValueError) as error:  # of an answer that lacks something
            count_failure(PASSKEY, user=self.user)
            raise get_adapter().validation_error("incorrect_code") from error


class AuthenticateForm(_Counting, library.AuthenticateWebAuthnForm):  # type: ignore[misc]  # untyped
    pass


class LoginForm(_Counting, library.LoginWebAuthnForm):  # type: ignore[misc]  # untyped
    pass


class ReauthenticateForm(_Counting, library.ReauthenticateWebAuthnForm):  # type: ignore[misc]  # untyped
    pass


class EditForm(library.EditWebAuthnForm):  # type: ignore[misc]  # untyped
    def save(self) -> Authenticator:
        before = name_of(self.instance)
        saved: Authenticator = super().save()
        if (name := name_of(saved)) != before:
            record(saved.user, FactorRenamed(name=name, name_before=before))
        return saved
