"""Hold one set of AWS credentials, taken and passed on as a whole."""

from dataclasses import dataclass
from datetime import datetime

from sessions.secret import Secret


@dataclass(frozen=True)
class AwsCredentials:
    """Hold the three parts that sign a request, and when they end.

    `session_token` is None and `expires_at` is None for a long-lived key; `expires_at` is aware, in
    UTC.
    """

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expires_at: datetime | None = None
