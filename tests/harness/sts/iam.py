"""Serve IAM's access keys of users, the same that the STS checks signatures with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.harness.sts.rules import Key, Refusal, Rules

MOST_KEYS = 2


@dataclass
class Record:
    """Hold what IAM keeps beside a key.

    `unknown_for` is how many more signed requests do not know it yet.
    """

    active: bool = True
    created: float = 0.0
    last_used: float | None = None
    unknown_for: int = 0


class Iam:
    """Let users do everything with their own keys, but for the actions in `denied`."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.records: dict[str, Record] = {}
        self.reset()

    def reset(self) -> None:
        self.denied: set[str] = set()
        # A new key is not known to that many requests that it signs, nor shown by that many lists.
        self.unknown_requests = 0
        self.unlisted = 0

    def record(self, key_id: str) -> Record:
        return self.records.setdefault(key_id, Record(created=self.rules.now()))

    def does_not_take(self, key: Key) -> bool:
        if key.token:
            return False
        record = self.record(key.access_key_id)
        if record.unknown_for:
            record.unknown_for -= 1
            return True
        return not record.active

    def used(self, key: Key) -> None:
        if not key.token:
            self.record(key.access_key_id).last_used = self.rules.now()

    def keys_of(self, user_arn: str) -> dict[str, Record]:
        """Return the user's long-lived keys, in the order of their creation."""
        own = [
            key.access_key_id
            for key in self.rules.keys.values()
            if key.arn == user_arn and not key.token
        ]
        return {key_id: self.record(key_id) for key_id in own}

    def answer(self, caller: Key, call: dict[str, Any], asked: Mapping[str, str]) -> dict[str, Any]:
        """Do one action by a user on that user's own keys.

        The log gets `keys`: {id: active} after it.
        """
        action, user = call["action"], caller.arn.rpartition("/")[2]
        actions = {
            "ListAccessKeys": self._list,
            "CreateAccessKey": self._create,
            "UpdateAccessKey": self._update,
            "DeleteAccessKey": self._delete,
            "GetAccessKeyLastUsed": self._last_used,
        }
        if action not in actions or asked.get("Version") != "2010-05-08":
            raise Refusal(
                "InvalidAction", f"Could not find operation {action} for version 2010-05-08"
            )
        if caller.is_role or action in self.denied or asked.get("UserName", user) != user:
            raise Refusal(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: iam:{action} on resource: user"
                f" {user} because no identity-based policy allows the action",
            )
        try:
            return actions[action](caller, asked)
        finally:
            call["keys"] = {
                key_id: record.active for key_id, record in self.keys_of(caller.arn).items()
            }

    def _list(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        shown = list(self.keys_of(caller.arn).items())
        if self.unlisted and len(shown) > 1:
            self.unlisted -= 1
            shown = shown[:1]
        return {
            "AccessKeyMetadata": [
                {
                    "UserName": caller.arn.rpartition("/")[2],
                    "AccessKeyId": key_id,
                    "Status": "Active" if record.active else "Inactive",
                    "CreateDate": _iso(record.created),
                }
                for key_id, record in shown
            ],
            "IsTruncated": "false",
        }

    def _create(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        if len(self.keys_of(caller.arn)) >= MOST_KEYS:
            raise Refusal(
                "LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}"
            )
        parts = caller.arn.split(":")
        user = parts[5].partition("/")[2]
        key = self.rules.new_user(user, parts[4], parts[1], caller.mfa_device)
        self.record(key.access_key_id).unknown_for = self.unknown_requests
        return {
            "AccessKey": {
                "UserName": user.rpartition("/")[2],
                "AccessKeyId": key.access_key_id,
                "Status": "Active",
                "SecretAccessKey": key.secret,
                "CreateDate": _iso(self.rules.now()),
            }
        }

    def _update(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        self._owned(caller, asked).active = asked.get("Status") == "Active"
        return {}

    def _delete(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        self._owned(caller, asked)
        del self.rules.keys[asked["AccessKeyId"]]
        return {}

    def _last_used(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        used = self._owned(caller, asked).last_used
        said = (
            {"ServiceName": "sts", "Region": "us-east-1"}
            if used
            else {"ServiceName": "N/A", "Region": "N/A"}
        )
        return {"AccessKeyLastUsed": said | ({"LastUsedDate": _iso(used)} if used else {})}

    def _owned(self, caller: Key, asked: Mapping[str, str]) -> Record:
        key_id = asked.get("AccessKeyId", "")
        if key_id not in self.keys_of(caller.arn):
            raise Refusal("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.")
        return self.record(key_id)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
