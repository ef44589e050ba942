"""The product's addresses with those of SAML, which it has only where that is switched on."""

from django.urls import include, path

from chainweb.urls import handler500, urlpatterns

__all__ = ["handler500", "urlpatterns"]

urlpatterns = [
    path("accounts/saml/<slug:organization_slug>/", include("sessions.urls.saml")),
    *urlpatterns,
]
