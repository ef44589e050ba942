"""Say whose it was: one certain person, several possible ones, or nobody that Chainweb knows of.

What Chainweb issued, to whom, and who took it away, it knows from its own ledger. A record of
CloudTrail is compared with that: a key alone proves nothing where the record names another role or
another time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sessions.aws.hop import DURATION_SECONDS
from sessions.ledger.held import Held, held_between
from sessions.ledger.whois.candidates import (
    Candidate,
    Trace,
    by_delivery,
    by_issue,
    distinct,
    people_of,
)
from sessions.ledger.whois.clues import Clues
from sessions.ledger.whois.lines import (
    Delivery,
    Issue,
    deliveries_of,
    from_address,
    issue_of,
    issued_under,
    named,
)

# So much is read for one question, whatever is in the ledger.
MOST_ISSUES = 300
MOST_DELIVERIES = 100
MOST_BELOW = 50
LONGEST_CHAIN = 10
# A session's own second, as AWS writes it, and ours: an answer takes a moment.
SAME_SECOND = timedelta(seconds=2)


class Certainty(StrEnum):
    CERTAIN = "certain"
    POSSIBLE = "possible"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Whois:
    """Hold the answer. `chain` goes from the root's key down to `issue`, which is its last.

    `people`: one where it is certain, else all who may be meant, the likeliest first. `below`: what
    was issued in calls that the key signed. `also_held`: what the certain person held at the time.
    `doubts` say what speaks against it, `next_steps` what to look up.
    """

    clues: Clues
    certainty: Certainty
    people: tuple[str, ...] = ()
    issue: Issue | None = None
    chain: tuple[Issue, ...] = ()
    root_key_id: str = ""
    deliveries: tuple[Delivery, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    below: tuple[Issue, ...] = ()
    also_held: tuple[Held, ...] = ()
    doubts: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Return the token by which alone it was taken; empty for several, and for a browser."""
        tokens = distinct(each.origin.token for each in self.deliveries)
        return tokens[0] if len(tokens) == 1 else ""

    @property
    def addresses(self) -> tuple[str, ...]:
        return distinct(each.origin.address for each in self.deliveries if each.origin.address)


def whois(team_id: object, clues: Clues) -> Whois:
    """Answer from the team's ledger. The number of lines it reads is bounded."""
    if clues.address and not clues.access_key_id:
        return _by_address(team_id, clues)
    if (made := _made_by(team_id, clues)) is not None:
        return _of_issue(team_id, clues, made)
    issue = issue_of(team_id, clues.access_key_id) if clues.access_key_id else None
    doubts = contradictions(issue, clues) if issue else ()
    if issue is not None and not doubts:
        return _of_issue(team_id, clues, issue)
    if issue is None and clues.access_key_id:
        below = issued_under(team_id, [clues.access_key_id], MOST_BELOW)
        if below:
            return _of_root_key(clues, below)
    known = clues.access_key_id if issue else ""
    found = [each for each in _issues(team_id, clues) if each.access_key_id != known]
    return _of_issues(team_id, clues, found, doubts)


def _made_by(team_id: object, clues: Clues) -> Issue | None:
    """Return what a recorded call has issued, where that is known: the call was a worker's."""
    issued = clues.record.issued if clues.record else None
    issue = issue_of(team_id, clues.issued_key_id) if clues.issued_key_id else None
    if issue is None or issued is None or not issue.hop:
        return None
    fits = (issued.role_arn or issue.role_arn, issued.session_name or issue.role_session_name)
    return issue if fits == (issue.role_arn, issue.role_session_name) else None


def _of_root_key(clues: Clues, below: Sequence[Issue]) -> Whois:
    """Answer for a key that workers sign with: a root's own, which nobody is given."""
    candidates = people_of(by_issue(below))
    return Whois(
        clues=clues,
        certainty=Certainty.POSSIBLE,
        people=tuple(each.person for each in candidates),
        root_key_id=clues.access_key_id,
        candidates=tuple(candidates),
        below=tuple(below),
        next_steps=(
            "This is a root's key; workers sign with it. Paste the event of the call: the key in"
            " its answer leads to a person.",
        ),
    )


def _issues(team_id: object, clues: Clues) -> list[Issue]:
    """List what the other clues than the key lead to, the last first."""
    name = clues.session_name
    found = named(team_id, name, clues.at, MOST_ISSUES) if name else []
    found = [each for each in found if each.role_session_name == name]
    if not found and (identity := clues.source_identity):
        found = named(team_id, identity, clues.at, MOST_ISSUES)
        found = [each for each in found if each.source_identity == identity]
        # A name alone may be either; it was the session's name of none.
        clues = replace(clues, session_name="") if clues.record is None else clues
    found = [each for each in found if not contradictions(each, clues, key=False)]
    if clues.began_at is not None:
        exactly = [each for each in found if began_with(each, clues.began_at)]
        return exactly or found
    return found


def began_with(issue: Issue, began_at: datetime) -> bool:
    """Tell whether a session began in that second.

    What AWS gives for an hour ends an hour after the second that CloudTrail calls its creation.
    """
    begun = issue.until - timedelta(seconds=DURATION_SECONDS) if issue.until else issue.at
    return abs(begun - began_at) <= SAME_SECOND or abs(issue.at - began_at) <= SAME_SECOND


def contradictions(issue: Issue, clues: Clues, *, key: bool = True) -> tuple[str, ...]:
    """Say what in the clues cannot be about what was issued; empty if nothing."""
    doubts = []
    ours = "the key was issued for" if key else "it was issued for"
    if issue.hop and clues.session_name and clues.session_name != issue.role_session_name:
        doubts.append(
            f"The session is named {clues.session_name}; {ours} {issue.role_session_name}."
        )
    if issue.hop and clues.role_name and clues.role_name != issue.role_name:
        doubts.append(f"The role is {clues.role_name}; {ours} {issue.role_name}.")
    if issue.hop and clues.account.isdigit() and clues.account != issue.account:
        doubts.append(f"The account is {clues.account}; {ours} {issue.account}.")
    if clues.principal_id and issue.principal_id and clues.principal_id != issue.principal_id:
        doubts.append(f"The principal id is {clues.principal_id}; {ours} {issue.principal_id}.")
    if clues.at is not None and not issue.lived_at(clues.at):
        doubts.append(
            f"It was used at {clues.at:%Y-%m-%d %H:%M:%S} UTC; what was issued lived from"
            f" {issue.at:%Y-%m-%d %H:%M:%S} until {_time(issue.until)}."
        )
    return tuple(doubts)


def _of_issue(team_id: object, clues: Clues, issue: Issue) -> Whois:
    """Answer with one credential: who took it away, or whom a worker used it for."""
    deliveries = deliveries_of(team_id, issue.access_key_id, MOST_DELIVERIES)
    takers = distinct(each.person for each in deliveries)
    people = takers or issue.people
    below = [] if takers else issued_under(team_id, [issue.access_key_id], MOST_BELOW)
    chain, root_key_id = _chain(team_id, issue)
    certain = len(people) == 1
    at = clues.at or issue.at
    until = clues.at or issue.until or issue.at
    held = held_between(team_id, people[0], at, until) if certain else []
    return Whois(
        clues=clues,
        certainty=Certainty.CERTAIN
        if certain
        else Certainty.POSSIBLE
        if people
        else Certainty.NOBODY,
        people=tuple(people),
        issue=issue,
        chain=chain,
        root_key_id=root_key_id,
        deliveries=tuple(deliveries),
        candidates=tuple(people_of(by_delivery(deliveries) or by_issue([issue]))),
        below=tuple(below),
        also_held=tuple(each for each in held if each.access_key_id != issue.access_key_id),
        next_steps=_after_issue(deliveries, people, issue),
    )


def _of_issues(
    team_id: object, clues: Clues, found: Sequence[Issue], doubts: tuple[str, ...]
) -> Whois:
    if len(found) == 1 and not doubts:
        return _of_issue(team_id, clues, found[0])
    candidates = people_of(by_issue(found))
    people = tuple(each.person for each in candidates)
    if not people:
        return Whois(
            clues=clues,
            certainty=Certainty.NOBODY,
            doubts=doubts,
            next_steps=_where_else(clues),
        )
    certain = len(people) == 1 and not doubts
    return Whois(
        clues=clues,
        certainty=Certainty.CERTAIN if certain else Certainty.POSSIBLE,
        people=people,
        candidates=tuple(candidates),
        doubts=doubts,
        next_steps=()
        if certain
        else ("Paste a whole event of CloudTrail: its key and time tell one person from another.",),
    )


def _by_address(team_id: object, clues: Clues) -> Whois:
    lines = from_address(team_id, clues.address, MOST_ISSUES)
    candidates = people_of(
        Trace(line.actor, line.at, line.session_alias, str(line.data.get("access_key_id", "")))
        for line in lines
    )
    people = tuple(each.person for each in candidates)
    return Whois(
        clues=clues,
        certainty=Certainty.POSSIBLE if people else Certainty.NOBODY,
        people=people,
        candidates=tuple(candidates),
        next_steps=("An address may be several people's: paste the event's key or ARN.",)
        if people
        else ("Nobody acted in Chainweb from there. The address of a call to AWS may be another.",),
    )


def _chain(team_id: object, issue: Issue) -> tuple[tuple[Issue, ...], str]:
    """Return the hops from the root's credentials down to this, and the root's key id.

    A key that is its own parent, or one of a chain too long to be one, ends it.
    """
    chain, seen = [issue], {issue.access_key_id}
    while chain[0].hop > 0 and len(chain) <= LONGEST_CHAIN:
        parent = chain[0].parent_access_key_id
        known = parent and parent not in seen
        above = issue_of(team_id, parent, before=chain[0].seq) if known else None
        if above is None:
            return tuple(chain), parent
        seen.add(parent)
        chain.insert(0, above)
    return tuple(chain), chain[0].access_key_id if chain[0].hop == 0 else ""


def _after_issue(
    deliveries: Sequence[Delivery], people: Sequence[str], issue: Issue
) -> tuple[str, ...]:
    if not people:
        return (
            f"Nobody needed it when it was issued. Look at the events around line {issue.seq}.",
        )
    if len(people) > 1:
        return ("Compare the addresses and clients below with those of the call in CloudTrail.",)
    if not deliveries:
        return ("Nobody took it away: workers signed with it, on the way to what is below.",)
    return ()


def _where_else(clues: Clues) -> tuple[str, ...]:
    steps = []
    if clues.access_key_id.startswith("AKIA"):
        steps.append("It is a long-lived key: IAM's credential report tells whose.")
    elif clues.access_key_id:
        steps.append(
            "Look up the AssumeRole event whose answer has this key, and paste it; a console uses"
            " keys of its own, so paste the whole event where it came from one."
        )
    if clues.session_name:
        steps.append(
            "If Chainweb had issued it in this team, its name would be here: look in your other"
            " teams, then at the role's trust policy for who else may assume it."
        )
    return tuple(steps)


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "it was replaced"
