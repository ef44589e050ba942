"""Find what a hop is assumed from: a root's credentials, the hop before, or why there are none.

Root credentials that come of a person's answer or of a call are rows of their own, minted like
hops: `RootRequest` is that call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, WaitingForPerson
from sessions.aws.proof import About, Signed, Signer
from sessions.aws.roots import ROOT_KINDS, RootKind
from sessions.chains.requests import fingerprint_of_root
from sessions.credentials.endpoints import Route, account_of, route_for, route_of
from sessions.credentials.outcomes import (
    Blocked,
    Deferred,
    Minted,
    Outcome,
    Rejection,
    TypedCode,
    cannot_open,
    trips_breaker,
    wrong_pointer,
)
from sessions.credentials.payloads import open_credentials, open_root_secrets, root_credentials
from sessions.credentials.timing import DEFERRED_FOR, PARENT_MARGIN
from sessions.db.clock import database_now
from sessions.engine.approval_steps import usable_state
from sessions.models import AwsSession, Credential
from sessions.roots import codes
from sessions.sealing import SealingError
from sessions.secret import Secret

log = structlog.get_logger(__name__)


# An edit's activations are on their way to the rows that it asks for.
UNTIL_MOVED = timedelta(seconds=1)


@dataclass(frozen=True)
class RootRequest:
    """Hold what a root's kind needs for its credentials, so that a thread needs no database.

    `codes` are the answers that AWS takes only once. `unanswered`: AWS was sent them before and
    gave no answer. `ran_out` says why codes that were typed are not among them any more.
    """

    kind: RootKind
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    answers: Mapping[str, Secret]
    codes: tuple[TypedCode, ...] = ()
    unanswered: bool = False
    ran_out: str = ""

    def mint(self, region: str) -> Outcome:
        try:
            given = self.kind.get_credentials(self.settings, self.secrets, self.answers, region)
        except AwsError as error:
            return Rejection(self._explained(error), codes=self.codes, unanswered=self.unanswered)
        return Minted(given, parent_access_key_id="", arn="", region=region)

    def _explained(self, error: AwsError) -> AwsError:
        """Add to an error about a code what has become of that code."""
        if isinstance(error, WaitingForPerson) and self.ran_out:
            said = f"The last code ran out before AWS took it: {self.ran_out}"
            return WaitingForPerson(error.code, 0, said, error.check)
        if error.about is About.PERSON and self.codes and self.unanswered:
            return WaitingForPerson(
                "CodeNeeded",
                0,
                "AWS gave no answer to the first call with this code, and now says that the code is"
                " wrong or used.",
                "Enter the next code that the device shows: AWS takes each only once.",
            )
        return error

    def lacks_answer(self) -> bool:
        """Tell whether a person's answer is missing; `mint` then says so without asking AWS."""
        return any(each.name not in self.answers for each in self.kind.challenges(self.settings))


def prepare_root_request(row: Credential) -> RootRequest | Rejection | Deferred:
    """Open the secrets of a root's row that this run holds, and take the codes typed for it.

    The codes are gone then, unless they are restored with the outcome of the call. To be called
    right before the call is made, outside of any transaction.
    """
    root, kind = row.root, ROOT_KINDS[row.root.kind]
    if root.team_id != row.team_id:
        return Rejection(wrong_pointer(0))
    if not is_current(row):
        return Deferred(UNTIL_MOVED)
    given: dict[str, Secret] = {}
    try:
        for challenge in kind.challenges(root.settings):
            if challenge.approval:
                state = usable_state(root, str(row.request.get("person", "")))
                if isinstance(state, Deferred):
                    return state
                if state is not None:
                    given[challenge.name] = state
        secrets = open_root_secrets(root.sealed_secrets, root.seal_context)
        typed, too_old = codes.consume_codes(row)
    except AwsError as error:
        return Rejection(error)
    except SealingError as error:
        log.error("what a root holds does not open", root=str(root.pk), reason=str(error))
        return Rejection(cannot_open(0, str(error)))
    given |= {each.name: each.code for each in typed}
    said = row.problem
    ran_out = said.message if said and said.retrying else "no worker came to it in time."
    return RootRequest(
        kind,
        root.settings,
        secrets,
        given,
        codes=tuple(typed),
        unanswered=said is not None and said.unanswered,
        ran_out=ran_out if too_old else "",
    )


def is_current(row: Credential) -> bool:
    """Check that a root's row was made for the root as it is now, with the same key."""
    return row.pk == fingerprint_of_root(row.root, str(row.request.get("person", "")))


def parent_credentials(parent: Credential) -> AwsCredentials | Rejection | Blocked | Deferred:
    """Open a parent's credentials if they can be used now; else say why not."""
    try:
        if parent.level == 0 and parent.root.team_id != parent.team_id:
            return Rejection(wrong_pointer(0))
        if parent.level == 0 and not parent.is_cached_root:
            if not is_current(parent):
                return Deferred(UNTIL_MOVED)
            return _root_credentials(parent.root)
        now = database_now()
        if parent.is_live(now + PARENT_MARGIN):
            return open_credentials(parent)
    except AwsError as error:
        return Rejection(error)
    except SealingError as error:
        log.error("a stored credential does not open", credential=parent.pk, reason=str(error))
        return Rejection(cannot_open(parent.level, str(error)))
    if parent.problem and (parent.due_at is None or parent.due_at > now):
        return Blocked(parent.problem, due_at=parent.due_at)
    return Deferred(DEFERRED_FOR)


def _root_credentials(root: AwsSession) -> AwsCredentials:
    """Get a root's own credentials; a failed call to STS counts at its region's breaker."""
    route = route_of(root)
    region = route.current_region()
    try:
        return root_credentials(root, region)
    except AwsError as error:
        if ROOT_KINDS[root.kind].asks_sts(root.settings) and trips_breaker(error):
            route.record(region, error)
        raise


def signed_by(parent: Credential, credentials: AwsCredentials) -> Signed:
    """Say whose credentials a parent's are, which decides what AWS's answer to them proves."""
    account, home = calling_account(parent), parent.root.sts_home
    account = account if account.isdigit() else ""
    if parent.level > 0:
        return Signed(Signer.HOP, home, account)
    if parent.is_cached_root:
        kind = ROOT_KINDS[parent.root.kind]
        by_code = bool(kind.code_challenges(parent.root.settings))
        return Signed(Signer.ROOT_SESSION, home, account, by_code=by_code)
    return Signed(
        Signer.ROOT_IDENTITY if credentials.session_token else Signer.ROOT_KEY, home, account
    )


def calling_account(parent: Credential) -> str:
    """Return the account of the caller, role or root, whose quota a call counts on."""
    if parent.level > 0:
        try:
            return RoleArn.parse(parent.request["role_arn"]).account
        except InvalidArn:
            return "unknown"
    return account_of(parent.root)


def route_from(parent: Credential) -> Route:
    """Find the route of calls that are signed by a parent."""
    return route_for(calling_account(parent), parent.root.sts_home)


def route_to(row: Credential) -> Route:
    """Find the route of the call for a root's cached credentials."""
    root = row.root
    if ROOT_KINDS[root.kind].asks_sts(root.settings):
        return route_of(root)
    return route_for(f"root {root.pk}", root.sts_home, of_sts=False)
