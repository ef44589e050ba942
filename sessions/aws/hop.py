"""One AssumeRole request, and the fingerprint that names it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Hop:
    role_arn: str
    role_session_name: str
    external_id: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    policy: str = ""
    policy_arns: tuple[str, ...] = ()

    def request(self) -> dict[str, Any]:
        request: dict[str, Any] = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.role_session_name,
            "DurationSeconds": 3600,
            "ExternalId": self.external_id,
        }
        return {k: v for k, v in request.items() if v}

    def fingerprint(self, team_id: str, parent_fingerprint: str) -> str:
        return hashlib.sha256(
            json.dumps(["hop", team_id, parent_fingerprint, self.to_json()], sort_keys=True).encode()
        ).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


def root_fingerprint(
    team_id: str,
    session_id: str,
    kind: str,
    secret_version: int,
    settings: Mapping[str, str],
    person: str = "",
) -> str:
    return hashlib.sha256(
        json.dumps(
            ["root", team_id, session_id, kind, secret_version, dict(settings), person], sort_keys=True
        ).encode()
    ).hexdigest()
