"""Serve the login pages that differ from the library's own."""

from typing import Any, cast
from urllib.parse import urlsplit

import structlog
from allauth.account import views as account
from allauth.core import ratelimit
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from sessions.forms.people import EmailForm
from sessions.login.addresses import address_of, ask_for_address, awaited_address_of, remove_address
from sessions.login.saml import SAML
from sessions.views.guards import recently_logged_in, user_of

log = structlog.get_logger(__name__)

NO_MAIL = (
    "This installation sends no mail, so addresses cannot be "
    "verified. Ask the operator to set EMAIL_URL."
)
TOO_MANY = "too_many_login_attempts"
# They are some ten kilobytes; anybody can send one, and it is stored for a moment.
LARGEST_ANSWER_BYTES = 128 * 1024


class LoginView(account.LoginView):  # type: ignore[misc]  # allauth is untyped
    """Answer 429 where the library says so in words alone."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        if any(error.code == TOO_MANY for error in form.errors.as_data().get("__all__", [])):
            response.status_code = 429
        return response


def password_reset(request: HttpRequest) -> HttpResponse:
    """Reset a password by mail; without mail settings the page says that none can be sent."""
    if not settings.MAIL_ENABLED:
        return render(
            request, "account/no_mail.html", status=200 if request.method == "GET" else 409
        )
    response: HttpResponse = account.password_reset(request)
    return response


def oidc_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Redirect to the OpenID provider."""
    return _by_a_page(request, openid_connect.login(request, provider_id=provider_id))


def saml_login(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """Redirect to the SAML provider, where that extra is installed and switched on."""
    from allauth.socialaccount.providers.saml import views as saml

    return _by_a_page(request, saml.login(request, organization_slug=organization_slug))


@csrf_exempt
def saml_acs(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """Take the provider's posted answer.

    It is kept until the browser comes back with its cookies.
    """
    from allauth.socialaccount.providers.saml import views as saml

    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_ANSWER_BYTES:
        return HttpResponse(
            "This is not an identity provider's response.", status=413, content_type="text/plain"
        )
    return cast(HttpResponse, saml.acs(request, organization_slug=organization_slug))


def saml_finish(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """Finish a login by SAML; an answer that is no XML is refused like a wrong one."""
    from allauth.socialaccount.helpers import render_authentication_error
    from allauth.socialaccount.providers.saml import views as saml
    from lxml.etree import LxmlError

    try:
        return cast(HttpResponse, saml.finish_acs(request, organization_slug=organization_slug))
    except (LxmlError, ValueError) as error:
        log.warning("a SAML answer could not be read", error=type(error).__name__)
        return cast(HttpResponse, render_authentication_error(request, SAML))


def _by_a_page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Show a page in between, as no form of ours may lead elsewhere (form-action 'self')."""
    target = response.headers.get("Location", "")
    if response.status_code != 302 or urlsplit(target).netloc in {"", request.get_host()}:
        return response
    page = render(
        request, "account/leaving.html", {"target": target, "host": urlsplit(target).hostname}
    )
    page.headers["Refresh"] = f"0; url={target}"
    return page


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def email(request: HttpRequest) -> HttpResponse:
    """Show a person's address, which gets links for lost passwords once it is verified."""
    user = user_of(request)
    awaited = awaited_address_of(user)
    form = EmailForm(
        request.POST if request.method == "POST" else None,
        initial={"email": awaited.email if awaited else user.email},
    )
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data["email"]
        if not wanted:
            remove_address(request, user)
            messages.success(request, "Email address removed.")
            return redirect("account_email")
        if not settings.MAIL_ENABLED:
            form.add_error("email", NO_MAIL)
        elif limited := ratelimit.consume_or_429(request, action="manage_email", user=user):
            return cast(HttpResponse, limited)
        else:
            ask_for_address(request, user, wanted)
            return redirect("account_email")
    context = {
        "form": form,
        "current": address_of(user),
        "awaited": awaited,
        "mail_enabled": settings.MAIL_ENABLED,
    }
    return render(request, "account/email.html", context, status=422 if form.errors else 200)
