"""What a hop is assumed from: a root's own credentials, or those of the hop before; or why there are none now.

Base credentials that come of a person's answer or of a call are rows of their own and minted like hops: `Base` is that call.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError
from sessions.aws.proof import Signed, Signer
from sessions.aws.roots import ROOT_KINDS, RootKind
from sessions.clock import database_now
from sessions.lifecycle import answers, approvals
from sessions.lifecycle.blobs import open_credentials, open_root_secrets, root_credentials
from sessions.lifecycle.outcomes import Blocked, Deferred, Minted, Outcome, Refusal, cannot_open, not_its_own
from sessions.lifecycle.times import DEFERRED_FOR, PARENT_MARGIN
from sessions.models import Credential
from sessions.sealing import SealingError
from sessions.secret import Secret

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Base:
    """All that a root's kind needs for base credentials, so that a thread can ask for them without the database."""

    kind: RootKind
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    answers: Mapping[str, Secret]
    region: str

    def mint(self) -> Outcome:
        try:
            given = self.kind.base_credentials(self.settings, self.secrets, self.answers, self.region)
        except AwsError as error:
            return Refusal(error)
        return Minted(given, parent_access_key_id="", arn="")

    def waits(self) -> bool:
        """Whether an answer is missing: then minting it says so without asking AWS."""
        return any(ask.name not in self.answers for ask in self.kind.asks(self.settings))


def prepare(row: Credential) -> Base | Refusal | Deferred:
    """For a root's row that this run holds: opens its secrets and takes what people have given. A code is gone then.

    To be called right before the call is made, outside of any transaction.
    """
    root, kind = row.root, ROOT_KINDS[row.root.kind]
    if root.team_id != row.team_id:
        return Refusal(not_its_own(0))
    given: dict[str, Secret] = {}
    try:
        for ask in kind.asks(root.settings):
            if ask.approval:
                state = approvals.usable_state(root, str(row.request.get("person", "")))
                if isinstance(state, Deferred):
                    return state
                if state is not None:
                    given[ask.name] = state
        given |= answers.take(row)
        secrets = open_root_secrets(root.sealed_secrets, root.place)
    except AwsError as error:
        return Refusal(error)
    except SealingError as error:
        log.error("what a root holds does not open", root=str(root.pk), reason=str(error))
        return Refusal(cannot_open(0, str(error)))
    return Base(kind, root.settings, secrets, given, row.region)


def base_from(parent: Credential, region: str) -> AwsCredentials | Refusal | Blocked | Deferred:
    """The credentials of that parent if they can be used now; `region` is where a root would ask STS."""
    try:
        if parent.level == 0 and parent.root.team_id != parent.team_id:
            return Refusal(not_its_own(0))
        if parent.level == 0 and not parent.is_kept_base:
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


def signed_by(parent: Credential, base: AwsCredentials) -> Signed:
    """Whose credentials those of that parent are, which decides what an answer to a call with them proves."""
    account = calling_account(parent)
    account = account if account.isdigit() else ""
    if parent.level > 0:
        return Signed(Signer.HOP, parent.region, account)
    if parent.is_kept_base:
        return Signed(Signer.ROOT_SESSION, parent.region, account)
    return Signed(Signer.ROOT_IDENTITY if base.session_token else Signer.ROOT_KEY, parent.region, account)


def calling_account(parent: Credential) -> str:
    """Whose quota a call counts on: the account of the role, or of the root, that it is made from."""
    if parent.level > 0:
        try:
            return RoleArn.parse(parent.request["role_arn"]).account
        except InvalidArn:
            return "unknown"
    parts = parent.root.identity_arn.split(":")
    return parts[4] if len(parts) > 5 else f"root {parent.root_id}"
