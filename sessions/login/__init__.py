"""Adapt allauth's and Django's login, with SAML as an extra."""
