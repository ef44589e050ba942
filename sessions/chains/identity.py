"""Name the AWS identity that a chain leads to, so that no edit turns a person into another one.

A session's identity is the path to it: its root's identity at AWS, then the role of each hop. An
activation keeps the identity that its person has started. If an edit makes the chain lead to
another one, the activation ends with a notice. Other edits (alias, region, tags, policies, external
ID, names) leave the identity as it is, and the activation follows them.

A root's identity may be unknown, so its changes are counted: `identity_version` goes up with every
edit that may have changed it. A key that Chainweb has rotated belongs to the same user, as does one
that a test has shown to. A key in place of one that AWS rejects is a repair: what has stopped at
the root goes on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import JSONField, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat, Substr

from sessions.actors import WORKER, Actor, NamedActor
from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.roots import ROOT_KINDS
from sessions.exceptions import RightLost
from sessions.ledger import Entry, Subject
from sessions.ledger.events.sessions import SessionEndedByEdit
from sessions.models import Activation, AwsSession, Credential, Ended, Problem
from sessions.models.sessions import load_chains

WHAT = {
    "account": "the account of “{alias}”",
    "role": "the role of “{alias}”",
    "assumer": "what “{alias}” is assumed from",
    "root": "the identity of the root “{alias}”",
    "chain": "this chain",
}


@dataclass(frozen=True)
class IdentityEdit:
    """Hold an edit of an identity: a username, the part it changed (of `WHAT`), an alias."""

    by: str
    what: str
    alias: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    def problem(self) -> Problem:
        """Return the problem of those whose activation it ends."""
        return Problem(
            "IdentityChanged",
            hop=0,
            message=f"Ended because {self.by} changed {WHAT[self.what].format(alias=self.alias)}.",
            check="Start the session again to use its new settings.",
        )


def identity_of(chain: Sequence[AwsSession]) -> list[str]:
    """Return the identity of a chain's last session: its root, then the role of each hop."""
    root = chain[0]
    return [f"{root.pk}/{root.identity_version}", *(session.link.role_arn for session in chain[1:])]


def what_changed(
    before: AwsSession,
    link_before: Mapping[str, Any] | None,
    after: AwsSession,
    identity_known: str,
) -> str:
    """Return the part of an identity that an edit has changed, a key of `WHAT`; empty if none.

    `identity_known`: the ARN that a test of exactly this root has found, if there was one.
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
    actor: Actor,
    session: AwsSession,
    *,
    role_arn: str = "",
    assumer: AwsSession | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Refuse an edit by a session-bound token that may change an identity at AWS.

    Such a token would reach every role of its person otherwise. Raises `RightLost`.
    """
    if actor.token is None or not actor.token.is_bound:
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


def started_identities(activations: Sequence[Activation]) -> dict[UUID, list[str]]:
    """Return {activation: the identity that it was started as}, of older ones by credentials."""
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


def stored_identity(session: AwsSession) -> list[str]:
    """Return the identity of a session as stored; empty if its chain leads to no root."""
    chain = load_chains([session], broken=True)[session.pk]
    return [] if chain[0].is_chained else identity_of(chain)


def move_own_activations(
    session: AwsSession, user_id: int, before: Sequence[str], after: Sequence[str]
) -> None:
    """Change the identity of the editor's own activations of a session and of what is below it.

    The editor knows what they become, so these do not end. `before`, `after`: the identity of the
    session. Identities that begin with `before` begin with `after` from then on, in one statement
    for thousands. An activation that somebody else's edit ends did not match its chain further
    down, and still does not.
    """
    if not before or not after:
        return
    below = session.with_dependants().values("pk")
    mine = Activation.objects.filter(user=user_id, session__in=below)
    _store_identities(mine.filter(identity__isnull=True))
    stored, old, new = Cast("identity", TextField()), _json_prefix(before), _json_prefix(after)
    same = mine.annotate(beginning=Substr(stored, 1, len(old))).filter(beginning=old)
    rest = Substr(stored, len(old) + 1)
    same.update(identity=Cast(Concat(Value(new), rest), JSONField()))


def _json_prefix(identity: Sequence[str]) -> str:
    """Write the beginning of a JSON list as both databases do.

    It ends with a quote, so no longer item matches it by chance.
    """
    return json.dumps(identity).removesuffix("]")


def _store_identities(activations: QuerySet[Activation]) -> None:
    """Store the identities of activations from before they were stored."""
    older = list(activations.select_related("credential"))
    held = started_identities(older)
    for each in older:
        each.identity = held[each.pk]
    Activation.objects.bulk_update(older, ["identity"], batch_size=1000)


def notify_ended(
    ended: Sequence[Activation], edit: IdentityEdit | None, now: datetime
) -> list[Entry]:
    """Leave a notice for each person whose activation ends by an edit; return the events.

    `edit`: None if nobody knows any more whose it was.
    """
    edit = edit or IdentityEdit("somebody", "chain", "")
    Ended.objects.bulk_create(
        [
            Ended(session_id=each.session_id, user_id=each.user_id, problem=edit.problem(), at=now)
            for each in ended
        ],
        update_conflicts=True,
        unique_fields=["session", "user"],
        update_fields=["problem", "at"],
    )
    actor = WORKER if edit.by == "somebody" else NamedActor(edit.by)
    return [
        Entry(
            SessionEndedByEdit(
                people=(each.user.get_username(),),
                credential=each.credential_id,
                owner=each.user.get_username(),
                by=edit.by,
                what=edit.what,
                alias=edit.alias,
            ),
            actor,
            Subject(each.session_id, each.session.alias),
        )
        for each in ended
    ]
