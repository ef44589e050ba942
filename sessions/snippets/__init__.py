import json
from dataclasses import dataclass
from collections.abc import Callable
from sessions.aws.credentials import AwsCredentials


@dataclass(frozen=True)
class Snippet:
    credentials: AwsCredentials | None
    profile: str
    region: str
    endpoint_url: str
    credentials_url: str


@dataclass(frozen=True)
class SnippetFormat:
    key: str
    label: str
    filename: str
    language: str
    secret: bool
    help: str
    render: Callable[[Snippet], str]


def _process(s):
    c = s.credentials
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": c.access_key_id,
            "SecretAccessKey": c.secret_access_key.reveal(),
            "SessionToken": c.session_token.reveal(),
            "Expiration": c.expires_at.isoformat(),
        }
    )


FORMATS = {"process": SnippetFormat("process", "credential_process", "x.json", "json", True, "", _process)}
