"""Give robots tokens for the signed tokens (OIDC JWT) of issuers that the operator trusts."""
