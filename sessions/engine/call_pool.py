"""Call STS from a pool of threads.

Each thread gets a short queue, so that none idles while the run commits results. A queued call is
not made if it has become pointless before its turn, or waited too long behind calls that hang; the
run then decides again.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from queue import SimpleQueue

import structlog
from django.conf import settings

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, UnacceptableAnswer
from sessions.aws.hop import Hop
from sessions.aws.proof import About
from sessions.aws.scoped import SCOPED, ScopedRequest
from sessions.aws.sts import assume_role, get_scoped_credentials
from sessions.credentials.outcomes import (
    Minted,
    Outcome,
    Rejection,
    as_proved,
    is_about_the_signer,
    wrong_pointer,
)
from sessions.engine.account_queues import AccountQueue, Call
from sessions.engine.parents import RootRequest

log = structlog.get_logger(__name__)

# So many calls are queued for each thread beside the one it makes: a commit takes about as long as
# two calls.
QUEUED_PER_THREAD = 2
LONGEST_QUEUED_SECONDS = 1.0

Result = tuple[AccountQueue, Call, Outcome | None]


@dataclass
class CallPool:
    """Hold one run's calls, and in `results` the outcome of each; None: it was not made.

    `called` are the account queues of the calls in flight, by the row that each is for.
    `rejected_keys` are (parent, access key ID) that AWS has rejected for that parent's children.
    Once `ended`, no further call is made.
    """

    results: SimpleQueue[Result] = field(default_factory=SimpleQueue)
    called: dict[str, AccountQueue] = field(default_factory=dict)
    rejected_keys: set[tuple[str, str]] = field(default_factory=set)
    in_flight: int = 0
    ended: bool = False

    def free_slots(self, *, with_queue: bool) -> int:
        """Count the calls that may be submitted now.

        Without a queue, the next free thread is for whoever comes next.
        """
        per_thread = 1 + QUEUED_PER_THREAD if with_queue else 1
        return int(settings.CHAINWEB_STS_THREADS) * per_thread - self.in_flight

    def submit(self, queue: AccountQueue, call: Call) -> None:
        """Queue a call for the next free thread."""
        self.in_flight += 1
        self.called[call.row.pk] = queue
        _jobs(os.getpid()).put((self, queue, call, time.monotonic()))

    def next_result(self, seconds: float) -> Result:
        """Wait up to `seconds` for the next result. Raises `queue.Empty`."""
        found = self.results.get(timeout=seconds) if seconds else self.results.get_nowait()
        self.in_flight -= 1
        self.called.pop(found[1].row.pk, None)
        return found

    def stalled(self) -> set[str]:
        """Return the rows whose call is in flight in a stalled queue."""
        return {pk for pk, queue in self.called.items() if queue.is_stalled()}

    def execute(self, queue: AccountQueue, call: Call, since: float) -> Outcome | None:
        """Make a queued call in a thread, unless it has become pointless.

        A root's call is made in any case: the run cannot get the codes in it a second time.
        """
        if not isinstance(call.source, AwsCredentials):
            return assume(call)
        signed_with = (str(call.row.parent_id), call.source.access_key_id)
        too_late = time.monotonic() - since > LONGEST_QUEUED_SECONDS
        is_rejected = signed_with in self.rejected_keys
        if self.ended or too_late or is_rejected or not queue.may_still_call(call, since):
            return None
        outcome = assume(call)
        if isinstance(outcome, Rejection) and is_about_the_signer(
            queue.route.judged(call.region, outcome.error)
        ):
            self.rejected_keys.add(signed_with)
        return outcome


_Jobs = SimpleQueue[tuple[CallPool, AccountQueue, Call, float]]


def assume(call: Call) -> Outcome:
    """Make one call and turn whatever it leads to into an outcome."""
    row = call.row
    try:
        if isinstance(call.source, RootRequest):
            return call.source.mint(call.region)
        assert call.source is not None
        asked = (
            ScopedRequest.from_json(row.request)
            if SCOPED in row.request
            else Hop.from_json(row.request)
        )
        if asked.fingerprint(str(row.team_id), str(row.parent_id)) != row.pk:
            # Another team's parent, or another role: what came of it would be delivered under this
            # row's name.
            return Rejection(wrong_pointer(row.level))
        if isinstance(asked, ScopedRequest):
            answer = get_scoped_credentials(
                asked, call.source, call.region, row.level, signed=call.signed
            )
        else:
            answer = assume_role(asked, call.source, call.region, row.level, signed=call.signed)
    except AwsError as error:
        return Rejection(as_proved(error, row, call.signed), signed_with=_signed_with(call))
    except Exception as error:  # noqa: BLE001  (the run waits for an answer, whatever this version makes of the request)
        log.error("a call could not be made", credential=row.pk, error=type(error).__name__)
        return Rejection(
            UnacceptableAnswer(
                "InternalError",
                row.level,
                f"The worker could not make this call: {type(error).__name__}.",
                "Check that web and workers run the same version, and the workers' log.",
                retryable=True,
                about=About.HOP,
            )
        )
    return Minted(
        answer.credentials,
        parent_access_key_id=call.source.access_key_id,
        arn=answer.arn,
        packed_policy_size=answer.packed_policy_size,
        principal_id=answer.assumed_role_id,
        request_id=answer.request_id,
        region=call.region,
    )


def _signed_with(call: Call) -> str:
    return call.source.access_key_id if isinstance(call.source, AwsCredentials) else ""


def _serve(jobs: _Jobs) -> None:
    while True:
        pool, queue, call, since = jobs.get()
        pool.results.put((queue, call, pool.execute(queue, call, since)))
        del pool, queue, call  # nothing secret stays in an idle thread


@lru_cache(maxsize=1)
def _jobs(process_id: int) -> _Jobs:
    """Make the threads and their queue once per process, after the fork.

    Plain threads and queues cost a fifth of an executor's futures.
    """
    jobs: _Jobs = SimpleQueue()
    for number in range(settings.CHAINWEB_STS_THREADS):
        threading.Thread(target=_serve, args=(jobs,), name=f"sts-{number}", daemon=True).start()
    return jobs
