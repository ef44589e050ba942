"""Let calls fail: some of them for a time, by account, role, caller or region."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

KINDS = {"throttle", "quota", "error", "refuse", "skew", "hang", "drop", "slow"}


@dataclass
class Fault:
    """Describe one fault, by its kind.

    - throttle: Throttling, with that probability
    - quota: Throttling above `per_second` calls a second (a token bucket that holds one second)
    - error: `code` (InternalFailure, ServiceUnavailable, …), with that probability
    - refuse: AccessDenied
    - skew: SignatureDoesNotMatch, as if this clock were `seconds` ahead of the caller's
    - hang: no answer, the connection stays open
    - drop: the connection is cut without an answer
    - slow: `seconds` more

    It befalls calls of that `account` (of the role that is asked for; of the caller where none is),
    `role` (ARN), `caller` (access key id), `caller_account` and `region` (of the signature); where
    one of these is empty, all of them. The first that befalls a call decides, but "slow" adds up.
    """

    kind: str
    account: str = ""
    role: str = ""
    caller: str = ""
    caller_account: str = ""
    region: str = ""
    probability: float = 1.0
    code: str = "InternalFailure"
    seconds: float = 0.0
    per_second: float = 600.0
    left: float = 0.0
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no fault of the kind {self.kind!r}.")
        self.left = self.per_second

    def befalls(self, call: Mapping[str, str]) -> bool:
        """Tell if this fault befalls a call, as `FakeSts.calls` describes it."""
        role, caller_account = call["role_arn"], _account(call["caller_arn"])
        met = (
            _account(role) or caller_account,
            role,
            call["access_key_id"],
            caller_account,
            call["region"],
        )
        wanted = (self.account, self.role, self.caller, self.caller_account, self.region)
        if any(want and want != each for want, each in zip(wanted, met, strict=True)):
            return False
        if self.kind == "quota":
            now = time.monotonic()
            self.left = min(self.per_second, self.left + (now - self.filled_at) * self.per_second)
            self.filled_at = now
            if self.left < 1:
                return True
            self.left -= 1
            return False
        return self.probability >= 1 or random.random() < self.probability


def _account(arn: str) -> str:
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 else ""
