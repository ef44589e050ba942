"""The threads that wait for STS.

They are handed more calls than they are, so that none is idle while the run commits what has come
in. Where a call turns out to be pointless before its turn comes, or others hang, it is not made:
the run decides anew.
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
from sessions.aws.sts import assume_role
from sessions.credentials.outcomes import (
    Minted,
    Outcome,
    Refusal,
    as_proved,
    is_about_the_signer,
    not_its_own,
)
from sessions.engine.lanes import Call, Lane
from sessions.engine.parents import Base

log = structlog.get_logger(__name__)

# For each thread, so many calls lie in line beside the one it makes: a commit takes about as long
# as two calls.
IN_LINE_PER_THREAD = 2
LONGEST_IN_LINE_SECONDS = 1.0


@dataclass
class Errands:
    """One run's calls. In `answers` lies what has come of each; None: it was not made.

    `called` are the lanes of those under way, by the row that each is for. `refused` are parents
    with the key that AWS has refused for their children. Once `ended`, no call is begun any more.
    """

    answers: SimpleQueue[tuple[Lane, Call, Outcome | None]] = field(default_factory=SimpleQueue)
    called: dict[str, Lane] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    under_way: int = 0
    ended: bool = False

    def room(self, *, in_line: bool) -> int:
        """Return how many more calls may be handed over now.

        Without a queue, the next free thread is for whoever comes next.
        """
        return (
            int(settings.CHAINWEB_STS_THREADS) * (1 + IN_LINE_PER_THREAD * in_line) - self.under_way
        )

    def hand_over(self, lane: Lane, call: Call) -> None:
        """Has a thread make that call."""
        self.under_way += 1
        self.called[call.row.pk] = lane
        _line(os.getpid()).put((self, lane, call, time.monotonic()))

    def answer(self, seconds: float) -> tuple[Lane, Call, Outcome | None]:
        """The next one; waits for it that long. Raises `queue.Empty`."""
        found = self.answers.get(timeout=seconds) if seconds else self.answers.get_nowait()
        self.under_way -= 1
        self.called.pop(found[1].row.pk, None)
        return found

    def held_up(self) -> set[str]:
        """Return the rows that wait long for an answer."""
        return {pk for pk, lane in self.called.items() if lane.is_held_up()}

    def attend_to(self, lane: Lane, call: Call, since: float) -> Outcome | None:
        """Make a queued call in a thread, unless there is no point in it any more.

        What a person has given for a root is used in any case: the run cannot have it again.
        """
        if not isinstance(call.base, AwsCredentials):
            return assume(call)
        signed_with = (str(call.row.parent_id), call.base.access_key_id)
        too_long = time.monotonic() - since > LONGEST_IN_LINE_SECONDS
        if self.ended or too_long or signed_with in self.refused or not lane.may_go_on(call, since):
            return None
        outcome = assume(call)
        if isinstance(outcome, Refusal) and is_about_the_signer(
            lane.route.judged(call.region, outcome.error)
        ):
            self.refused.add(signed_with)
        return outcome


_Line = SimpleQueue[tuple[Errands, Lane, Call, float]]


def assume(call: Call) -> Outcome:
    """Makes one call; whatever it leads to is an outcome."""
    row = call.row
    try:
        if isinstance(call.base, Base):
            return call.base.mint(call.region)
        assert call.base is not None
        hop = Hop.from_json(row.request)
        if hop.fingerprint(str(row.team_id), str(row.parent_id)) != row.pk:
            # Another team's parent, or another role: what came of it would be handed out under this
            # row's name.
            return Refusal(not_its_own(row.level))
        answer = assume_role(hop, call.base, call.region, row.level, signed=call.signed)
    except AwsError as error:
        return Refusal(as_proved(error, row, call.signed), signed_with=_signed_with(call))
    except Exception as error:  # noqa: BLE001  (the run waits for an answer, whatever this version makes of the request)
        log.error("a call could not be made", credential=row.pk, error=type(error).__name__)
        return Refusal(
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
        parent_access_key_id=call.base.access_key_id,
        arn=answer.arn,
        packed_policy_size=answer.packed_policy_size,
        principal_id=answer.assumed_role_id,
        request_id=answer.request_id,
        region=call.region,
    )


def _signed_with(call: Call) -> str:
    return call.base.access_key_id if isinstance(call.base, AwsCredentials) else ""


def _serve(line: _Line) -> None:
    while True:
        errands, lane, call, since = line.get()
        errands.answers.put((lane, call, errands.attend_to(lane, call, since)))
        del errands, lane, call  # nothing secret stays in an idle thread


@lru_cache(maxsize=1)
def _line(process_id: int) -> _Line:
    """Make the threads and their queue once per process, after the fork.

    Plain threads and queues cost a fifth of an executor's futures.
    """
    line: _Line = SimpleQueue()
    for number in range(settings.CHAINWEB_STS_THREADS):
        threading.Thread(target=_serve, args=(line,), name=f"sts-{number}", daemon=True).start()
    return line
