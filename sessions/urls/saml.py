"""Route login by SAML, where that extra is installed and switched on.

There is no logout by the provider: what it sends need not be signed, so anybody could log people
out. They are asked.
"""

from allauth.account import views as account
from allauth.socialaccount.providers.saml import views as saml
from django.urls import path

from sessions.views import accounts

urlpatterns = [
    path("login/", accounts.saml_login, name="saml_login"),
    path("acs/", accounts.saml_acs, name="saml_acs"),
    path("acs/finish/", accounts.saml_finish, name="saml_finish_acs"),
    path("sls/", account.logout, name="saml_sls"),
    path("metadata/", saml.metadata, name="saml_metadata"),
]
