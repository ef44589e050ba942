"""Adapt allauth's and Django's log-in, with SAML as an extra."""
