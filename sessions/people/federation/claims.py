"""Read a signed token (JWT) of an issuer, and compare its claims with a rule's."""

from collections.abc import Mapping
from typing import Any

import jwt
from django.conf import settings

from sessions.people.federation.keys import key_of

# Signatures by a key that only the issuer has; never `none`, never one by a shared secret.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
KEY_TYPES = {"R": "RSA", "P": "RSA", "Ed": "OKP", "ES": "EC"}
LEEWAY_SECONDS = 30
LONGEST_TOKEN = 16_384
SMALLEST_RSA_BITS = 2048

# The claims that say who somebody is. One of them has to be in each rule: any project of the world
# gets a token from GitHub that says `ref = refs/heads/main`.
IDENTIFYING = (
    *("sub", "repository", "repository_id", "repository_owner", "repository_owner_id"),
    *("project_path", "project_id", "namespace_path", "namespace_id", "job_workflow_ref"),
)
MOST_CLAIMS = 20
LONGEST_CLAIM = 500


class NotTrusted(Exception):
    """Refuse a token; `reason` is for whoever sent it, who holds it anyway."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def issuer_of(text: str) -> str:
    """Return the issuer that a token names, unproven. Raises `NotTrusted`."""
    if len(text) > LONGEST_TOKEN:
        raise NotTrusted(f"The token is longer than {LONGEST_TOKEN} characters.")
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotTrusted("This is no JWT.") from None
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in settings.CHAINWEB_OIDC_ISSUERS:
        raise NotTrusted(
            "This installation does not trust the token's issuer: the operator names issuers in"
            " CHAINWEB_OIDC_ISSUERS."
        )
    return issuer


def read_claims(text: str, issuer: str, audience: str) -> dict[str, Any]:
    """Return the claims of a token that this issuer signed for this audience, and that is in time.

    Raises `NotTrusted`, or `IssuerAway` where its key is not to be had.
    """
    try:
        header = jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotTrusted("This is no JWT.") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise NotTrusted(f"Its algorithm is not one of {', '.join(ALGORITHMS)}.")
    if not isinstance(key_id, str) or header.get("crit"):
        raise NotTrusted("Its header names no key.")
    key = key_of(issuer, key_id)
    if key is None:
        raise NotTrusted("Its issuer has no key of that id.")
    # The issuer's key says what it is for; the token does not.
    if key.key_type != next(kind for mark, kind in KEY_TYPES.items() if algorithm.startswith(mark)):
        raise NotTrusted("Its algorithm is not its key's.")
    if key.key_type == "RSA" and key.key.key_size < SMALLEST_RSA_BITS:
        raise NotTrusted(f"Its key has fewer than {SMALLEST_RSA_BITS} bits.")
    try:
        found: dict[str, Any] = jwt.decode(
            text,
            key=key.key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise NotTrusted("It has expired.") from None
    except (jwt.ImmatureSignatureError, jwt.InvalidIssuedAtError):
        raise NotTrusted("It is not valid yet: compare the clocks.") from None
    except jwt.InvalidAudienceError:
        raise NotTrusted("It is for another audience.") from None
    except jwt.MissingRequiredClaimError as error:
        raise NotTrusted(f"It has no claim “{error.claim}”.") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotTrusted("Its signature or its form is not valid.") from None
    return found


def validate_claims(claims: Mapping[str, str]) -> dict[str, str]:
    """Return a rule's claims. Raises ValueError for what would let in more than is meant."""
    if not claims or len(claims) > MOST_CLAIMS:
        raise ValueError(
            f"1 to {MOST_CLAIMS} claims, such as sub = repo:acme/app:ref:refs/heads/main"
        )
    for name, pattern in claims.items():
        if not name or not pattern or len(name) > 100 or len(pattern) > LONGEST_CLAIM:
            raise ValueError(f"“{name[:100]}” needs a value of at most {LONGEST_CLAIM} characters.")
    naming = [name for name in IDENTIFYING if name in claims]
    if not naming:
        raise ValueError(
            "Name who it is, by sub, repository, repository_owner, project_path or namespace_path."
        )
    for name in naming:
        start, star, _ = claims[name].partition("*")
        if star and not (start.endswith(("/", ":")) and ("/" in start or start.count(":") > 1)):
            raise ValueError(
                f"“{name} = {claims[name]}” would match others too: a * may stand behind the owner"
                " alone, as in acme/* or repo:acme/*."
            )
    return dict(claims)


def mismatch(rule: Mapping[str, str], claims: Mapping[str, Any]) -> str:
    """Return the name of the first claim that is not as a rule wants it; empty if all are."""
    for name, pattern in rule.items():
        if not any(_matches(pattern, each) for each in _texts(claims.get(name))):
            return name
    return ""


def _texts(value: Any) -> list[str]:
    """Return a claim's values as text: numbers and truth values as JSON writes them."""
    match value:
        case str():
            return [value]
        case bool():
            return ["true" if value else "false"]
        case int():
            return [str(value)]
        case list():
            return [text for each in value if not isinstance(each, list) for text in _texts(each)]
    return []


def _matches(pattern: str, text: str) -> bool:
    """Compare exactly, but for * which stands for any characters, none included.

    Without a regular expression, which takes minutes for some patterns.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    if not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
