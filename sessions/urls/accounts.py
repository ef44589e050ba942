"""Route login: django-allauth's pages, each named here, so that none is open by accident."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from allauth.usersessions import views as usersessions
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.urls import include, path, register_converter
from django.urls.converters import StringConverter

from sessions.login.records import with_its_line
from sessions.views import accounts
from sessions.views.guards import recently_logged_in as recently


class Base36(StringConverter):
    """Match up to the first dash, after which the key of a reset mail begins."""

    regex = "[0-9A-Za-z]+"


register_converter(Base36, "base36")

urlpatterns = [
    path("login/", accounts.LoginView.as_view(), name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("email/", accounts.email, name="account_email"),
    path("email/confirm/<str:key>/", account.confirm_email, name="account_confirm_email"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", recently(account.password_set), name="account_set_password"),
    path("password/reset/", accounts.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/<base36:uidb36>-<str:key>/",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    # The library takes a person without password and authenticator for just logged in; `recently`
    # does not.
    path("2fa/", login_required(mfa.index), name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path(
        "2fa/totp/activate/", recently(with_its_line(totp.activate_totp)), name="mfa_activate_totp"
    ),
    path(
        "2fa/totp/deactivate/",
        recently(with_its_line(totp.deactivate_totp)),
        name="mfa_deactivate_totp",
    ),
    path(
        "2fa/recovery-codes/",
        recently(recovery_codes.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/generate/",
        recently(with_its_line(recovery_codes.generate_recovery_codes)),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/download/",
        recently(recovery_codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path("2fa/webauthn/", recently(webauthn.list_webauthn), name="mfa_list_webauthn"),
    path(
        "2fa/webauthn/add/", recently(with_its_line(webauthn.add_webauthn)), name="mfa_add_webauthn"
    ),
    path(
        "2fa/webauthn/keys/<int:pk>/remove/",
        recently(with_its_line(webauthn.remove_webauthn)),
        name="mfa_remove_webauthn",
    ),
    path(
        "2fa/webauthn/keys/<int:pk>/edit/",
        recently(with_its_line(webauthn.edit_webauthn)),
        name="mfa_edit_webauthn",
    ),
    path("2fa/webauthn/login/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path(
        "2fa/webauthn/reauthenticate/",
        webauthn.reauthenticate_webauthn,
        name="mfa_reauthenticate_webauthn",
    ),
    path("sessions/", usersessions.list_usersessions, name="usersessions_list"),
    path(
        "3rdparty/", recently(with_its_line(social.connections)), name="socialaccount_connections"
    ),
    path("3rdparty/signup/", social.signup, name="socialaccount_signup"),
    path("3rdparty/login/cancelled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("3rdparty/login/error/", social.login_error, name="socialaccount_login_error"),
    path("oidc/<slug:provider_id>/login/", accounts.oidc_login, name="openid_connect_login"),
    path(
        "oidc/<slug:provider_id>/login/callback/",
        openid_connect.callback,
        name="openid_connect_callback",
    ),
]

if settings.SAML_IDP_METADATA_URL:
    urlpatterns.append(path("saml/<slug:organization_slug>/", include("sessions.urls.saml")))
