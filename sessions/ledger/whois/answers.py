"""Say whose it was: one certain person, several possible ones, or nobody that Chainweb knows of.

What Chainweb issued, to whom, and who took it away, it knows from its own ledger. A record of
CloudTrail is compared with that: a key alone proves nothing where the record names another role or
another time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sessions.ledger.console import BY_KEY, BY_NAME, events_in_console
from sessions.ledger.held import Held, held_between
from sessions.ledger.whois import advice
from sessions.ledger.whois.candidates import (
    Candidate,
    Trace,
    by_delivery,
    by_issue,
    by_use,
    distinct,
    people_of,
)
from sessions.ledger.whois.clues import Clues
from sessions.ledger.whois.contradictions import contradictions, foreign_call, unproven
from sessions.ledger.whois.lines import (
    TOLERANCE,
    Delivery,
    Issue,
    deliveries_of,
    from_address,
    issue_of,
    issued_under,
    living_for_role,
    named,
)
from sessions.models import NameUse

# So much is read for one question, whatever is in the ledger.
MOST_ISSUES = 100
MOST_DELIVERIES = 500
MOST_BELOW = 50
MOST_ALIVE = 20
LONGEST_CHAIN = 10


class Certainty(StrEnum):
    CERTAIN = "certain"
    POSSIBLE = "possible"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Whois:
    """Hold the answer. `chain` goes from the root's key down to `issue`, which is its last.

    `people`: one where it is certain, else all who may be meant, the likeliest first. `deliveries`
    are all, `taken` those that a call at the asked time can come of. `matches` are the last
    credentials that fit, where no single one does. `below`: what was issued in calls that the key
    signed. `alive`: what else was issued for the role and lived then. `also_held`: what the certain
    person held besides. `doubts` say what speaks against it, `next_steps` what to look up.
    """

    clues: Clues
    certainty: Certainty
    people: tuple[str, ...] = ()
    issue: Issue | None = None
    chain: tuple[Issue, ...] = ()
    root_key_id: str = ""
    deliveries: tuple[Delivery, ...] = ()
    taken: tuple[Delivery, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    matches: tuple[Issue, ...] = ()
    below: tuple[Issue, ...] = ()
    alive: tuple[Issue, ...] = ()
    also_held: tuple[Held, ...] = ()
    doubts: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Return the token by which alone it was taken; empty for several, and for a browser.

        A scoped key that nobody has fetched yet is its device's all the same.
        """
        if self.issue is not None and self.issue.device:
            return self.issue.device
        tokens = distinct(each.origin.token for each in self.taken)
        return tokens[0] if len(tokens) == 1 else ""

    @property
    def moment(self) -> datetime | None:
        """Return when they acted, or when it was issued."""
        return self.clues.at or (self.issue.at if self.issue else None)

    @property
    def console(self) -> str:
        """Return the address of CloudTrail's console with what was done; empty without a clue."""
        arn = self.issue.arn if self.issue else ""
        if key := self.clues.access_key_id or (self.issue.access_key_id if self.issue else ""):
            return events_in_console(BY_KEY, key, arn)
        name = self.clues.session_name
        return events_in_console(BY_NAME, name, arn) if name else ""

    @property
    def addresses(self) -> tuple[str, ...]:
        return distinct(each.origin.address for each in self.taken if each.origin.address)


def whois(team_id: object, clues: Clues) -> Whois:
    """Answer from the team's ledger. The number of lines it reads is bounded."""
    if clues.address and not clues.access_key_id:
        return _by_address(team_id, clues)
    if (made := _made_by(team_id, clues)) is not None:
        return _of_issue(team_id, replace(clues, at=None), made)
    issue = issue_of(team_id, clues.access_key_id) if clues.access_key_id else None
    doubts = contradictions(issue, clues) if issue else ()
    if issue is not None and not doubts:
        return _of_issue(team_id, clues, issue)
    if issue is None and clues.access_key_id:
        below = issued_under(team_id, [clues.access_key_id], MOST_BELOW)
        if below:
            return _of_root_key(clues, below)
    known = clues.access_key_id if issue else ""
    found, more = _issues(team_id, clues)
    return _of_issues(
        team_id, clues, [each for each in found if each.access_key_id != known], doubts, more=more
    )


def _made_by(team_id: object, clues: Clues) -> Issue | None:
    """Return what a recorded AssumeRole has issued, where that is known: the call was a worker's.

    An answer that repeats the caller's key, as AssumeRoot's can, issued nothing.
    """
    record, issued = clues.record, clues.record.issued if clues.record else None
    if record is None or issued is None or issued.by != "AssumeRole":
        return None
    key = clues.issued_key_id
    issue = issue_of(team_id, key) if key and key != clues.access_key_id else None
    if issue is None or not issue.hop:
        return None
    said = issued.role_arn, issued.session_name
    signed = clues.access_key_id in ("", issue.parent_access_key_id)
    then = clues.at is None or abs(clues.at - issue.at) <= TOLERANCE
    fits = said == (issue.role_arn, issue.role_session_name) and signed and then
    return issue if fits else None


def _of_root_key(clues: Clues, below: Sequence[Issue]) -> Whois:
    """Answer for a key that workers sign with: a root's own, which nobody is given."""
    candidates = people_of(by_issue(below))
    foreign = foreign_call(clues, root=True)
    return Whois(
        clues=clues,
        certainty=Certainty.NOBODY if foreign else Certainty.POSSIBLE,
        people=() if foreign else tuple(each.person for each in candidates),
        root_key_id=clues.access_key_id,
        candidates=() if foreign else tuple(candidates),
        below=tuple(below),
        doubts=(foreign,) if foreign else (),
        next_steps=advice.of_root_key(foreign),
    )


def _issues(team_id: object, clues: Clues) -> tuple[list[Issue], bool]:
    """List what the other clues than the key lead to, the last first; and if there may be more."""
    name, identity = clues.session_name, clues.source_identity
    if clues.record is None and identity:
        # A name alone may be either.
        clues = replace(clues, session_name="")
    read = named(team_id, name, clues, MOST_ISSUES) if name else []
    found = [each for each in read if name in _names(each, clues)]
    if not found and identity and identity != name:
        read = named(team_id, identity, clues, MOST_ISSUES)
        found = [each for each in read if each.source_identity == identity]
    fitting = [each for each in found if not contradictions(each, clues, key=False)]
    return fitting, len(read) >= MOST_ISSUES


def _names(issue: Issue, clues: Clues) -> tuple[str, ...]:
    """Return the names of an issued credential that a session's name in the clues can be."""
    own = issue.role_session_name
    return (own,) if clues.session_name else (own, issue.source_identity)


def _of_issue(team_id: object, clues: Clues, issue: Issue) -> Whois:
    """Answer with one credential: who took it away, or whom a worker used it for."""
    deliveries = deliveries_of(team_id, issue.access_key_id, MOST_DELIVERIES)
    # Who took it after the call has not made it.
    taken = [each for each in deliveries if clues.at is None or each.at <= clues.at + TOLERANCE]
    by_key = issue.access_key_id == clues.access_key_id
    foreign = foreign_call(clues) if by_key and issue.hop and not taken else ""
    takers = distinct(each.person for each in taken)
    if len(deliveries) >= MOST_DELIVERIES:
        takers = distinct((*takers, *issue.people))
    people = takers or issue.people
    certain = len(people) == 1 and not foreign
    chain, root_key_id = _chain(team_id, issue)
    at, until = clues.at or issue.at, clues.at or issue.until or issue.at
    held = held_between(team_id, people[0], at, until, MOST_ALIVE) if certain else []
    alive = living_for_role(team_id, issue.role_arn, at, MOST_ALIVE + 1) if issue.hop else []
    address = clues.record.source_address if clues.record else ""
    there = {each.person for each in taken if address and each.origin.address == address}
    traces = by_delivery(taken) or by_issue([issue])
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
        taken=tuple(taken),
        candidates=tuple(people_of(traces, there)),
        below=() if takers else tuple(issued_under(team_id, [issue.access_key_id], MOST_BELOW)),
        alive=tuple(each for each in alive if each.access_key_id != issue.access_key_id),
        also_held=tuple(each for each in held if each.access_key_id != issue.access_key_id),
        doubts=(foreign,) if foreign else (),
        next_steps=advice.of_issue(issue, taken, people, address, foreign),
    )


def _of_issues(
    team_id: object,
    clues: Clues,
    found: Sequence[Issue],
    doubts: tuple[str, ...],
    *,
    more: bool,
) -> Whois:
    doubts = doubts or (unproven(clues) if found else ())
    if len(found) == 1 and not doubts:
        return _of_issue(team_id, clues, found[0])
    traces = by_issue(found)
    if more and clues.record is None:
        # Who used it before what was read is counted.
        uses = NameUse.objects.filter(team_id=str(team_id), name=clues.session_name)
        traces += by_use(uses[:MOST_ISSUES])
    candidates = people_of(traces)
    people = tuple(each.person for each in candidates)
    certain = len(people) == 1 and not doubts and not (more and clues.record)
    return Whois(
        clues=clues,
        certainty=Certainty.CERTAIN
        if certain
        else Certainty.POSSIBLE
        if people
        else Certainty.NOBODY,
        people=people,
        candidates=tuple(candidates),
        matches=tuple(found[:MOST_ALIVE]),
        doubts=doubts,
        next_steps=advice.of_several(clues, certain=certain)
        if people
        else advice.where_else(clues, doubts),
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
        next_steps=advice.of_address(people, more=len(lines) >= MOST_ISSUES),
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
