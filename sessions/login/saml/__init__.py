"""Log people in by SAML, which is an extra.

allauth's provider, and what Chainweb wants to know beyond it.
"""

SAML = "saml"  # the id of the one SAML provider, and its name in the addresses
# In the query of the login: whether the provider shall ask the person even if it knows them
# already.
FORCE_AUTHN = "force_authn"
