"""Say in plain words what a record turned out to be, and by what."""

from sessions.ledger.drift.kinds import LABELS, Finding, Kind
from sessions.models import TrailRecord

_ALONE = {
    Kind.AROUND: "Chainweb has issued nothing that fits.",
    Kind.SERVICE: "An AWS service acted on its own.",
    Kind.PROGRAM: "A program or a workload acted, in a session that Chainweb did not issue.",
    Kind.ROOT: "The account's root acted: nobody can be named.",
    Kind.UNKNOWN: "The record names nobody, and Chainweb has issued nothing that fits.",
    Kind.NO_CALL: "This is a statistic of CloudTrail Insights, not a call.",
}
_ISSUED = {
    "key": "The call was made with exactly the key that Chainweb issued.",
    "made": "A worker made this call; what it gave is in the ledger.",
    "second": "A console or a tool used a key of its own for a session that Chainweb issued: role,"
    " name and the second in which it began are the same.",
    "worker": "Workers make this call with a root's key.",
}


def labels_of(row: TrailRecord) -> list[tuple[str, str]]:
    """Return a record's kind and findings, each with its label."""
    found: list[Kind | Finding] = [Kind(row.kind)]
    if row.breaks_policy:
        found.append(Finding.BREAKS_POLICY)
    if row.lacks_identity:
        found.append(Finding.LACKS_IDENTITY)
    return [(each.value, LABELS[each]) for each in found]


def why(row: TrailRecord) -> str:
    """Say by what a record is what it is."""
    said = row.detail
    if row.kind == Kind.ISSUED:
        return _ISSUED[said["matched"]]
    if row.kind == Kind.AROUND and said.get("through"):
        return "The session was assumed without Chainweb, from credentials that it had issued."
    if row.kind == Kind.AROUND and said.get("root_key"):
        return "A root's key made this call, but no worker did; only workers should have that key."
    if row.kind == Kind.AROUND and row.made_by and said["alone"] != Kind.AROUND:
        return "The record names nobody; the call that made its session does."
    if row.kind == Kind.AROUND and said["named_by"]:
        sure = "" if said["sure"] else ", which whoever began the session could choose"
        return f"{_ALONE[Kind.AROUND]} The person is named by the {said['named_by']}{sure}."
    return _ALONE[Kind(row.kind)]


def session_label(row: TrailRecord) -> str:
    """Return who made the call as people refer to it: role/session, user, service or account."""
    if row.role_name:
        return f"{row.role_name}/{row.session_name}"
    said = row.detail
    return said["user"] or row.session_name or said["invoked_by"] or said["type"] or "unknown"
