"""Describe the environment of one identity, whichever shell sets it.

All of it or nothing: what is left of another identity would be mixed in, or would win. So every
variable that AWS tools take an identity from is removed first, then this one's are set.
"""

from collections.abc import Mapping

from sessions.secret import Secret
from sessions.snippets import Snippet
from sessions.snippets.values import ACCOUNT, PRINTABLE, URL, check, credentials_of, end_of

CLEARED = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    # botocore reads this older name of the session token first.
    "AWS_SECURITY_TOKEN",
    # Older names of the key; the Java SDK 1 and the Go SDK 1 read them.
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    # An end in the past makes botocore refuse the new credentials too. The second is what other
    # tools show in the prompt.
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    # The account of another identity would go into the host names of account-based endpoints.
    "AWS_ACCOUNT_ID",
    "AWS_CREDENTIAL_SCOPE",
    # It wins over any key at the one service that takes it.
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    # Removed for real AWS too: an address left from the simulated one would be sent the real
    # session token, and the simulator accepts any key, so that nobody would notice.
    # AWS_ENDPOINT_URL_<SERVICE> of a person's own network stays.
    "AWS_ENDPOINT_URL",
    # What other tools say of the identity that they have set: prompts show it, and aws-vault and
    # saml2aws go by it.
    "AWS_VAULT",
    "AWSUME_PROFILE",
    "AWS_SSO_PROFILE",
    "SAML2AWS_PROFILE",
)
# These two would lead past the simulated AWS.
CLEARED_IN_SIMULATION = ("AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


def cleared(snippet: Snippet) -> tuple[str, ...]:
    """Return the names of the variables to remove before any is set."""
    return CLEARED + CLEARED_IN_SIMULATION if snippet.endpoint_url else CLEARED


def variables(snippet: Snippet) -> Mapping[str, str | Secret]:
    """Return the variables to set, in order and checked.

    A quoting function may take any of them. Raises ValueError.
    """
    credentials = credentials_of(snippet)
    found: dict[str, str | Secret] = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }
    if credentials.session_token is not None:
        found["AWS_SESSION_TOKEN"] = credentials.session_token
    if end := end_of(credentials):
        found["AWS_CREDENTIAL_EXPIRATION"] = end
    found["AWS_REGION"] = found["AWS_DEFAULT_REGION"] = snippet.region
    for name, value in found.items():
        check(name, value, PRINTABLE)
    if snippet.account:
        check("AWS_ACCOUNT_ID", snippet.account, ACCOUNT)
        found["AWS_ACCOUNT_ID"] = snippet.account
    if snippet.endpoint_url:
        check("AWS_ENDPOINT_URL", snippet.endpoint_url, URL)
        found["AWS_ENDPOINT_URL"] = snippet.endpoint_url
    return found
