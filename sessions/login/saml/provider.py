"""Provide SAML to allauth, which finds this module by its name once the operator enables it."""

from datetime import datetime
from typing import Any

from allauth.socialaccount.providers.saml import provider as library
from allauth.socialaccount.providers.saml.utils import build_auth
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML as saml_xml

from sessions.login.saml import FORCE_AUTHN

# In the assertion alone, which is signed; what surrounds it need not be.
AUTHN_INSTANT = "/samlp:Response//saml:Assertion/saml:AuthnStatement/@AuthnInstant"
CONFIRMATIONS = (
    "/samlp:Response//saml:Assertion/saml:Subject/saml:SubjectConfirmation"
    "/saml:SubjectConfirmationData"
)
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


class SAMLProvider(library.SAMLProvider):  # type: ignore[misc]  # allauth is untyped
    """Can have the person asked again, and keeps when they were asked."""

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        asked: dict[str, Any] = super().get_redirect_from_request_kwargs(request)
        return {**asked, FORCE_AUTHN: FORCE_AUTHN in request.GET}

    def redirect(
        self,
        request: HttpRequest,
        process: str,
        next_url: str | None = None,
        data: Any = None,
        **state: Any,
    ) -> HttpResponseRedirect:
        auth = build_auth(request, self)
        target = auth.login(return_to="", force_authn=state.get(FORCE_AUTHN, False))
        self.stash_redirect_state(
            request, process, next_url, data, state_id=auth.get_last_request_id(), **state
        )
        return HttpResponseRedirect(target)

    def sociallogin_from_response(self, request: HttpRequest, response: Any) -> Any:
        """Build the login of a signed answer.

        Raises `PermissionDenied` for an assertion that does not answer the request it is handed in
        for.
        """
        answered = response.get_last_response_in_response_to()
        confirmations = saml_xml.query(
            saml_xml.to_etree(response.get_last_response_xml()), CONFIRMATIONS
        )
        if not confirmations or any(each.get("InResponseTo") != answered for each in confirmations):
            raise PermissionDenied("The identity provider's answer belongs to no request of ours.")
        return super().sociallogin_from_response(request, response)

    def extract_uid(self, data: Any) -> str:
        uid: str = super().extract_uid(data)
        if uid == data.get_nameid() and data.get_nameid_format() == TRANSIENT:
            raise PermissionDenied(
                "A transient NameID changes each time: send a persistent one, or a subject-id."
            )
        return uid

    def extract_extra_data(self, data: Any) -> dict[str, Any]:
        """Return the attributes and the time of a checked answer.

        {"attributes": {name: [value, …]}, "authn_instant": seconds since 1970}.
        """
        return {
            "attributes": data.get_attributes(),
            "authn_instant": authn_instant(data.get_last_response_xml()),
        }


def authn_instant(response: str) -> int:
    """Return when the provider last asked the person; 0 if it does not say.

    SAML 2.0 core, 2.7.2 AuthnStatement.
    """
    found = saml_xml.query(saml_xml.to_etree(response), AUTHN_INSTANT)
    try:
        return int(datetime.fromisoformat(found[0]).timestamp())
    except (IndexError, ValueError):
        return 0


provider_classes = [SAMLProvider]
