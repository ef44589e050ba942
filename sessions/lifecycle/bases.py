"""What a hop is assumed from: a root's own credentials, or those of the hop before; or why there are none now."""

import structlog

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError
from sessions.clock import database_now
from sessions.lifecycle.blobs import open_credentials, root_credentials
from sessions.lifecycle.outcomes import Blocked, Deferred, Refusal, cannot_open
from sessions.lifecycle.times import DEFERRED_FOR, PARENT_MARGIN
from sessions.models import Credential
from sessions.sealing import SealingError

log = structlog.get_logger(__name__)


def base_from(parent: Credential, region: str) -> AwsCredentials | Refusal | Blocked | Deferred:
    """The credentials of that parent if they can be used now; `region` is where a root would ask STS."""
    try:
        if parent.level == 0:
            return root_credentials(parent.root, region)
        now = database_now()
        if parent.is_live(now + PARENT_MARGIN):
            return open_credentials(parent)
    except AwsError as error:
        return Refusal(error)
    except SealingError as error:
        log.error("a stored credential does not open", credential=parent.pk, reason=str(error))
        return Refusal(cannot_open(parent.level, str(error)))
    if parent.problem and (parent.due_at is None or parent.due_at > now):
        return Blocked(parent.problem, due_at=parent.due_at)
    return Deferred(DEFERRED_FOR)


def calling_account(parent: Credential) -> str:
    """Whose quota a call counts on: the account of the role, or of the root, that it is made from."""
    if parent.level > 0:
        try:
            return RoleArn.parse(parent.request["role_arn"]).account
        except InvalidArn:
            return "unknown"
    parts = parent.root.identity_arn.split(":")
    return parts[4] if len(parts) > 5 else f"root {parent.root_id}"
