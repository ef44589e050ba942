"""Test the exchange of signed tokens against an issuer that runs."""
