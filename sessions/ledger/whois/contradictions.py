"""Say what in a question cannot be about a credential that was issued.

A key alone proves nothing: AssumeRoot repeats one, samples and masks make many equal, and a name
can be chosen by whoever assumes the role on another way.
"""

from datetime import datetime, timedelta

from sessions.aws.hop import DURATION_SECONDS
from sessions.ledger.whois.clues import Clues
from sessions.ledger.whois.lines import Issue

# A session's own second, as AWS writes it, and ours: an answer takes a moment.
SAME_SECOND = timedelta(seconds=2)
# What workers call with keys that they give to nobody: roles are assumed with a hop's, and a root's
# IAM user rotates its own key.
BY_WORKERS = frozenset({"", "sts.amazonaws.com"})
BY_ROOTS = BY_WORKERS | {"iam.amazonaws.com", "sso.amazonaws.com", "signin.amazonaws.com"}


def contradictions(issue: Issue, clues: Clues, *, key: bool = True) -> tuple[str, ...]:
    """Say what in the clues cannot be about what was issued; empty if nothing."""
    doubts = []
    ours = "the key was issued for" if key else "it was issued for"
    if issue.hop:
        role = issue.role_name
        if clues.other_identity:
            doubts.append(f"{clues.other_identity} made the call; {ours} a session of {role}.")
        if clues.session_name and clues.session_name != issue.role_session_name:
            doubts.append(
                f"The session is named {clues.session_name}; {ours} {issue.role_session_name}."
            )
        if clues.role_name and clues.role_name != role:
            doubts.append(f"The role is {clues.role_name}; {ours} {role}.")
        if clues.account.isdigit() and clues.account != issue.account:
            doubts.append(f"The account is {clues.account}; {ours} {issue.account}.")
        if clues.began_at is not None and not began_with(issue, clues.began_at):
            doubts.append(
                f"The session began at {_time(clues.began_at)} UTC; what was issued began at"
                f" {_time(_began(issue))}."
            )
    if clues.principal_id and issue.principal_id and clues.principal_id != issue.principal_id:
        doubts.append(f"The principal id is {clues.principal_id}; {ours} {issue.principal_id}.")
    if clues.at is not None and not issue.lived_at(clues.at):
        doubts.append(
            f"It was used at {_time(clues.at)} UTC; what was issued lived from"
            f" {_time(issue.at)} until {_time(issue.until) if issue.until else 'it was replaced'}."
        )
    return tuple(doubts)


def foreign_call(clues: Clues, *, root: bool = False) -> str:
    """Say what was called with a key that only workers have, if they never call that."""
    record = clues.record
    source = record.event_source if record else ""
    if record is None or source in (BY_ROOTS if root else BY_WORKERS):
        return ""
    return (
        f"The key has never left Chainweb's workers, and they do not call"
        f" {record.event_name or source} with it: somebody else has it."
    )


def unproven(clues: Clues) -> tuple[str, ...]:
    """Say that a key which was not issued is known by name alone, if that is so."""
    if clues.access_key_id and clues.began_at is None:
        return (
            "Chainweb has not issued this key, and the record does not say when its session began:"
            " only the names fit, which somebody else may have chosen.",
        )
    return ()


def began_with(issue: Issue, began_at: datetime) -> bool:
    """Tell whether a session began in that second.

    What AWS gives for an hour ends an hour after the second that CloudTrail calls its creation.
    """
    return any(abs(begun - began_at) <= SAME_SECOND for begun in (_began(issue), issue.at))


def _began(issue: Issue) -> datetime:
    return issue.until - timedelta(seconds=DURATION_SECONDS) if issue.until else issue.at


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
