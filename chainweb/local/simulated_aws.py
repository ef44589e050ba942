"""Run moto as the simulated AWS, with GetScopedCredentials, which it does not know yet.

Like moto's own calls it refuses nothing by policies: what a child may do is not enforced here.
"""

import json
import re
from datetime import timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.server import main
from moto.sts.exceptions import STSClientError
from moto.sts.models import AssumedRole
from moto.sts.responses import TokenResponse

LONGEST_POLICY = 2048
LONGEST_SECONDS = 129_600
MOST_POLICIES = 3
DESCRIPTION = re.compile(r"[\t\n\r\u0020-\u007e\u00a1-\u00ff]{2,256}")


def get_scoped_credentials(self: Any) -> ActionResult:
    """Answer as the service's model says, for the session that signs the call."""
    caller = self.backend.get_assumed_role_from_access_key(self.get_access_key())
    if caller is None:
        raise STSClientError(
            "InvalidSubjectCredentials", "The calling session is not a valid session."
        )
    policy, seconds = self._get_param("Policy"), self._get_int_param("DurationSeconds")
    _check(policy, seconds, self._get_param("ScopedSessionDescription"))
    policies = [*getattr(caller, "scopes", ()), *([policy] if policy else [])]
    if len(policies) > MOST_POLICIES:
        raise STSClientError(
            "AccessDenied", "The session has the most scope down policies already."
        )
    ends = caller.expiration if seconds is None else utcnow() + timedelta(seconds=seconds)
    if ends > caller.expiration:
        raise STSClientError(
            "InsufficientSessionLifetime",
            "The requested DurationSeconds exceeds the remaining lifetime of the session.",
        )
    child = _child_of(caller, self.backend, self.region)
    child.expiration, child.scopes = ends, policies
    size = len(child.session_token)
    return ActionResult(
        {
            "Credentials": child,
            "SessionInfo": {"ScopedSessionId": child.user_id, "Arn": child.arn},
            "SessionTokenUtilization": 100 * size // 4096,
            "SessionTokenSize": size,
            "ScopedPoliciesCount": len(policies),
        }
    )


def _check(policy: str | None, seconds: int | None, description: str | None) -> None:
    if policy is None and seconds is None:
        raise STSClientError("ValidationError", "Policy or DurationSeconds must be provided.")
    if policy is not None and len(policy) > LONGEST_POLICY:
        raise STSClientError("ValidationError", "Value at 'policy' has more than 2048 characters.")
    if policy is not None and not _is_a_policy(policy):
        raise STSClientError("MalformedPolicyDocument", "This policy contains invalid Json")
    if seconds is not None and not 1 <= seconds <= LONGEST_SECONDS:
        raise STSClientError(
            "ValidationError", "Value at 'durationSeconds' is not from 1 to 129600."
        )
    if description is not None and not DESCRIPTION.fullmatch(description):
        raise STSClientError("ValidationError", "Value at 'scopedSessionDescription' is invalid.")


def _is_a_policy(text: str) -> bool:
    try:
        return isinstance(json.loads(text)["Statement"], list | dict)
    except (ValueError, KeyError, TypeError):
        return False


def _child_of(caller: Any, backend: Any, region: str) -> Any:
    account, key = backend._create_access_key(role=caller.role_arn)
    child = AssumedRole(
        account_id=account,
        region_name=region,
        access_key=key,
        role_session_name=caller.session_name,
        role_arn=caller.role_arn,
        policy=caller.policy,
        duration=0,
        external_id=caller.external_id,
    )
    key.role_arn = caller.role_arn
    backend.assumed_roles.append(child)
    return child


def run() -> None:
    """Start moto's server with the command line's arguments."""
    TokenResponse.get_scoped_credentials = get_scoped_credentials  # type: ignore[attr-defined]
    main()


if __name__ == "__main__":
    run()
