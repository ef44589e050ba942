"""Read what the environment says of identity providers."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

ROLES = ("member", "auditor", "admin")


def parse_group_map(variable: str, text: str) -> dict[str, tuple[str, str]]:
    """Read {group: (team's short name, role)} from "group=team:role,…".

    The text is the value of that environment variable.

    Raises `ImproperlyConfigured` for anything else.
    """
    found: dict[str, tuple[str, str]] = {}
    for piece in filter(None, (each.strip() for each in text.split(","))):
        group, equals, place = piece.rpartition("=")
        team, colon, role = place.partition(":")
        if not (group and equals and team and colon) or role not in ROLES:
            raise ImproperlyConfigured(
                f"{variable} is a list of group=team:role, the role one of {', '.join(ROLES)};"
                f" “{piece}” is not."
            )
        found[group] = (team, role)
    return found


def oidc_provider(
    issuer: str, client_id: str, secret: str, *, name: str, scopes: list[str]
) -> dict[str, Any]:
    """Return allauth's settings for one OpenID provider, with PKCE.

    The issuer's discovery document names its addresses.
    """
    settings = {"server_url": issuer, "scope": scopes}
    app = {
        "provider_id": "sso",
        "name": name,
        "client_id": client_id,
        "secret": secret,
        "settings": settings,
    }
    return {"APPS": [app], "OAUTH_PKCE_ENABLED": True}


def saml_provider(entity_id: str, metadata_url: str, name: str) -> dict[str, Any]:
    """Return allauth's settings for one SAML identity provider; its assertions must be signed."""
    # By their OIDs (RFC 4519, RFC 4524) and, for Entra ID and AD FS, by the names that these give.
    claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
    attributes = {
        "uid": "urn:oasis:names:tc:SAML:attribute:subject-id",
        "email": ["urn:oid:0.9.2342.19200300.100.1.3", f"{claims}/emailaddress"],
        "username": "urn:oid:0.9.2342.19200300.100.1.1",
        "first_name": ["urn:oid:2.5.4.42", f"{claims}/givenname"],
        "last_name": ["urn:oid:2.5.4.4", f"{claims}/surname"],
    }
    return {
        "APPS": [
            {
                "provider_id": "saml",
                "client_id": "saml",
                "name": name,
                "settings": {
                    "idp": {
                        "entity_id": entity_id,
                        "metadata_url": metadata_url,
                        "metadata_request_timeout": 5,
                    },
                    "attribute_mapping": attributes,
                    "advanced": {
                        "strict": True,
                        "allow_single_label_domains": True,  # as inside a company's network
                        "want_assertion_signed": True,
                        "want_attribute_statement": (
                            False
                        ),  # who is nothing but a NameID can connect an account
                        "reject_deprecated_algorithm": True,
                    },
                },
            }
        ]
    }
