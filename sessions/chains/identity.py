"""Say which AWS identity a chain is, so that an edit makes nobody somebody else unasked.

The identity of a session is the way to it: who its root is at AWS, then the role of each hop. An
activation keeps the one that its person has started. Where a chain leads to another one, that
activation ends with a notice instead of following; what leaves the way as it is (alias, region,
tags, policies, external ID, names) moves on.

Who a root is may be unknown, so it is counted: `identity_version` goes up with every edit that
cannot be shown to leave it the same. A key that Chainweb itself has rotated is the same user's, and
so is one that a test has found to be. A root whose key AWS refuses is mended by another one: what
has stopped at it goes on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import JSONField, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat, Substr

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.roots import ROOT_KINDS
from sessions.exceptions import RightLost
from sessions.ledger import Entry, Subject
from sessions.ledger.events.sessions import SessionEndedByEdit
from sessions.models import Activation, AwsSession, Credential, Ended, Membership, Problem
from sessions.models.sessions import load_chains

WHAT = {
    "account": "the account of “{alias}”",
    "role": "the role of “{alias}”",
    "assumer": "what “{alias}” is assumed from",
    "root": "the identity of the root “{alias}”",
    "chain": "this chain",
}


@dataclass(frozen=True)
class Why:
    """Hold who has changed which part of which session: a key of `WHAT`, a user name, an alias."""

    by: str
    what: str
    alias: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    def problem(self) -> Problem:
        """Put it in the words of the other problems."""
        return Problem(
            "IdentityChanged",
            hop=0,
            message=f"Ended because {self.by} changed {WHAT[self.what].format(alias=self.alias)}.",
            check="Start the session again to use its new settings.",
        )


def identity_of(chain: Sequence[AwsSession]) -> list[str]:
    """Name the way to the last session of a chain, root first."""
    root = chain[0]
    return [f"{root.pk}/{root.identity_version}", *(session.link.role_arn for session in chain[1:])]


def what_changed(
    before: AwsSession,
    link_before: Mapping[str, Any] | None,
    after: AwsSession,
    identity_known: str,
) -> str:
    """Say which part of its identity an edit has changed, a key of `WHAT`; empty if none.

    `identity_known`: who a test of exactly this root found it to be, if one did.
    """
    if link_before is not None:
        if link_before["role_arn"] != after.link.role_arn:
            return (
                "role"
                if _account(link_before["role_arn"]) == _account(after.link.role_arn)
                else "account"
            )
        return "assumer" if link_before["assumer_id"] != after.link.assumer_id else ""
    if identity_known and before.identity_arn:
        return "root" if identity_known != before.identity_arn else ""
    if _stands_rejected(before):
        return ""
    names = ROOT_KINDS[after.kind].identity_settings
    # What was empty was nobody: a choice that is still open when people start, for one.
    pairs = ((before.settings.get(name), after.settings.get(name)) for name in names)
    return "root" if any(old and old != new for old, new in pairs) else ""


def check_token(
    member: Membership,
    session: AwsSession,
    *,
    role_arn: str = "",
    assumer: AwsSession | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Refuse an edit by a session-bound token that may change an identity at AWS.

    Raises `RightLost`.

    Else such a token would reach every role that its person may have.
    """
    if member.token is None or not member.token.is_bound:
        return
    if session.is_chained:
        link = session.link
        same = link.role_arn == role_arn and assumer is not None and link.assumer_id == assumer.pk
    else:
        names = ROOT_KINDS[session.kind].identity_settings
        same = all(
            session.settings.get(name, "") == (settings or {}).get(name, "") for name in names
        )
    if not same:
        what = "the role or the assumer" if session.is_chained else "the identity"
        message = f"This token is for “{session.alias}” as it is: it may not change {what}. "
        raise RightLost(
            "", f"{message}Do that on the page, or by a token that is for no session alone."
        )


def _stands_rejected(root: AwsSession) -> bool:
    problems = Credential.objects.filter(root=root, level=0, problem__isnull=False).values_list(
        "problem", flat=True
    )
    return any(each and each.hop == 0 and each.is_final for each in problems)


def _account(role_arn: str) -> str:
    try:
        return RoleArn.parse(role_arn).account
    except InvalidArn:
        return ""


def held_identities(activations: Sequence[Activation]) -> dict[UUID, list[str]]:
    """Name what these activations were started as; older ones by their credentials."""
    known = {each.pk: list(each.identity) for each in activations if each.identity is not None}
    unknown = [each for each in activations if each.identity is None]
    if unknown:
        rows = _with_parents(each.credential for each in unknown)
        known |= {each.pk: _of_credential(each.credential, rows) for each in unknown}
    return known


def _with_parents(credentials: Iterable[Credential]) -> dict[str, Credential]:
    found: dict[str, Credential] = {each.pk: each for each in credentials}
    frontier = {str(each.parent_id) for each in found.values() if each.parent_id} - found.keys()
    while frontier:
        rows = Credential.objects.filter(pk__any_of=frontier).defer("sealed").in_bulk()
        found |= rows
        frontier = {str(each.parent_id) for each in rows.values() if each.parent_id} - found.keys()
    return found


def _of_credential(leaf: Credential, rows: Mapping[str, Credential]) -> list[str]:
    roles: list[str] = []
    row: Credential | None = leaf
    while row is not None and row.level > 0:
        roles.insert(0, str(row.request.get("role_arn", "")))
        row = rows.get(str(row.parent_id))
    return [f"{leaf.root_id}/0", *roles]


def named(session: AwsSession) -> list[str]:
    """Name the identity of a session as it is stored; empty where its chain leads nowhere."""
    chain = load_chains([session], broken=True)[session.pk]
    return [] if chain[0].is_chained else identity_of(chain)


def go_along(
    session: AwsSession, user_id: int, before: Sequence[str], after: Sequence[str]
) -> None:
    """Let the editor's own activations there and below follow the edit: whoever edits knows what
    they become.

    `before`, `after`: the identity of the session. What begins with the one begins with the other
    from now on, in one statement for thousands. An activation that somebody else's edit ends does
    not match its chain further down, and still does not.
    """
    if not before or not after:
        return
    below = session.with_dependants().values("pk")
    mine = Activation.objects.filter(user=user_id, session__in=below)
    _name_older(mine.filter(identity__isnull=True))
    stored, old, new = Cast("identity", TextField()), _beginning(before), _beginning(after)
    same = mine.annotate(beginning=Substr(stored, 1, len(old))).filter(beginning=old)
    rest = Substr(stored, len(old) + 1)
    same.update(identity=Cast(Concat(Value(new), rest), JSONField()))


def _beginning(identity: Sequence[str]) -> str:
    """Write the beginning of a list as both databases do. It ends with a quote: no other list
    begins so by chance.
    """
    return json.dumps(identity).removesuffix("]")


def _name_older(activations: QuerySet[Activation]) -> None:
    """Store who these are, which were started before this was kept."""
    older = list(activations.select_related("credential"))
    held = held_identities(older)
    for each in older:
        each.identity = held[each.pk]
    Activation.objects.bulk_update(older, ["identity"], batch_size=1000)


def tell(ended: Sequence[Activation], why: Why | None, now: datetime) -> list[Entry]:
    """Leave a notice for each person whose activation ends by an edit; return the events.

    `why`: None if it is not known any more whose edit it was.
    """
    why = why or Why("somebody", "chain", "")
    Ended.objects.bulk_create(
        [
            Ended(session_id=each.session_id, user_id=each.user_id, problem=why.problem(), at=now)
            for each in ended
        ],
        update_conflicts=True,
        unique_fields=["session", "user"],
        update_fields=["problem", "at"],
    )
    actor = "worker" if why.by == "somebody" else why.by
    return [
        Entry(
            SessionEndedByEdit(
                people=(each.user.get_username(),),
                credential=each.credential_id,
                owner=each.user.get_username(),
                by=why.by,
                what=why.what,
                alias=why.alias,
            ),
            actor,
            Subject(each.session_id, each.session.alias),
        )
        for each in ended
    ]
