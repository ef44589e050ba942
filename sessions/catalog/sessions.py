"""Create and edit sessions; links stay a forest of bounded depth.

What is active follows an edit that leaves it who it is.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

from django.db import IntegrityError, transaction

from sessions import ledger
from sessions.activations.moves import follow
from sessions.actors import Actor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.closed_roles import check_role
from sessions.catalog.labels import find_or_make, has_sensitive_role, mark, write_labels
from sessions.catalog.same_role import close_like_role
from sessions.catalog.tested import identity_told
from sessions.chains.identity import (
    IdentityEdit,
    check_token,
    move_own_activations,
    stored_identity,
    what_changed,
)
from sessions.chains.rules import check_below, check_chain, check_link, check_name
from sessions.credentials.payloads import seal_root_secrets
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events import EventData
from sessions.ledger.events.sessions import SessionCreated, SessionEdited
from sessions.locks.team_lock import begin
from sessions.locks.versions import expect
from sessions.models import (
    CHAINED,
    AssumerLink,
    AwsSession,
    TeamPolicy,
)
from sessions.models.sessions import load_chains
from sessions.permissions import Action, can, is_orphaned, why_not_create, why_not_kind
from sessions.secret import Secret

Told = TypeVar("Told", bound=EventData)


@dataclass(frozen=True)
class Draft:
    """Hold what a form or the API wants a session to be.

    For a root `settings`, `secrets` and `sts_region` (empty: its region), for a chained session
    the `assumer` and the `hop`.
    """

    kind: str
    alias: str
    profile: str
    region: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    # Who AWS has said that a root with exactly these settings and secrets is.
    identity_arn: str = ""
    assumer: AwsSession | None = None
    hop: HopSettings = field(default_factory=HopSettings)
    sts_region: str = ""
    labels: tuple[str, ...] = ()
    # By its own mark, whatever its labels say.
    sensitive: bool = False

    @classmethod
    def of(cls, session: AwsSession) -> Self:
        """Return the draft that a stored session is, without its secrets."""
        stored = cls(
            session.kind,
            session.alias,
            session.profile,
            session.region,
            labels=tuple(each.name for each in session.labels_shown),
            sensitive=session.marked_sensitive,
        )
        if session.is_chained:
            if not hasattr(session, "link"):  # its assumer's deletion has taken it
                return stored
            link = session.link
            return replace(stored, assumer=link.assumer, hop=link.settings)
        return replace(
            stored,
            settings=dict(session.settings),
            identity_arn=session.identity_arn,
            sts_region=session.sts_region,
        )

    def link_fields(self) -> dict[str, Any]:
        """Return what the link of a chained session stores."""
        return {"assumer": self.assumer, **AssumerLink.fields_of(self.hop)}

    def as_event(self, kind: Callable[..., Told], **about: Any) -> Told:
        """Return the event that tells of the draft: everything but the secrets."""
        if self.kind == CHAINED:
            return kind(kind=self.kind, region=self.region, hop=self._hop_as_event(), **about)
        return kind(
            kind=self.kind,
            region=self.region,
            settings=self.settings,
            secrets_changed=tuple(sorted(self.secrets)),
            sts_region=self.sts_region,
            hop={},
            **about,
        )

    def _hop_as_event(self) -> dict[str, Any]:
        said = self.hop.stored()
        return {
            "assumer": str(self.assumer.pk) if self.assumer else "",
            "assumer_alias": self.assumer.alias if self.assumer else "",
            **{name: said[name] for name in ("role_arn", "role_session_name", "external_id")},
            **self.hop.to_json(),
        }


def save_session(
    draft: Draft, actor: Actor, session: AwsSession | None = None, *, seen: int | None = None
) -> AwsSession:
    """Create a session, or change one to what the draft says.

    Raises `Refused`; then nothing is saved.

    `seen`: the version that the draft was made from; raises `Changed` if there is another by now.
    What is active on it or below it moves to the new credentials automatically; the caller wakes a
    worker. Where the edit changes the identity, only the editor's own does, and other people's end
    with a notice.
    """
    try:
        with transaction.atomic():
            creating = session is None
            actor = begin_saving(draft, actor, session)
            if session is None:
                session = AwsSession(team=actor.team, kind=draft.kind, created_by=actor.user)
            else:
                expect(session.version, seen)
                session.version += 1
            check_place(draft, session, actor)
            labels = find_or_make(draft.labels, actor)
            draft = replace(draft, labels=tuple(each.name for each in labels))
            asks_the_same = not creating and _is_only_shown_otherwise(draft, session, actor)
            before, was_told = copy(session), {} if creating else told_of(session)
            owner_before = "" if creating else _owner_of(session)
            link_before = (
                AssumerLink.objects.filter(session=session).values("role_arn", "assumer_id").first()
            )
            was = [] if creating or asks_the_same else stored_identity(before)
            if creating and draft.kind != CHAINED:
                # A root is the beginning of everything: an admin says who may build on it.
                session.open_to_assume = False
            session.alias, session.profile, session.region = (
                draft.alias,
                draft.profile,
                draft.region,
            )
            mark(session, labels, actor, sensitive=draft.sensitive)
            _write(draft, session, actor, creating=creating)
            write_labels(session, labels)
            if draft.kind == CHAINED:
                policy = TeamPolicy.of(actor.team_id)
                check_link(session.link, policy)
                check_name(session, policy)
                check_chain(load_chains([session])[session.pk], policy)
                if not creating:
                    check_below(session, policy)
            entries: list[Entry] = []
            if draft.kind == CHAINED and (
                not link_before or link_before["role_arn"] != draft.hop.role_arn
            ):
                entries = close_like_role(session, actor)
                if not session.is_sensitive and has_sensitive_role(session):
                    # Else a second session with the role would be a way around the first's mark.
                    session.marked_sensitive = session.is_sensitive = True
                    session.save(update_fields=["marked_sensitive", "is_sensitive"])
                    draft = replace(draft, sensitive=True)
            kind = SessionCreated if creating else SessionEdited
            if not creating and not asks_the_same:
                edit = None
                if what := what_changed(before, link_before, session, session.identity_arn):
                    _become_another(session)
                    becomes = stored_identity(copy(session))
                    move_own_activations(session, actor.user_id, was, becomes)
                    edit = IdentityEdit(actor.username, what, session.alias)
                follow(actor.team_id, database_now(), below=session, edit=edit)
            about: dict[str, Any] = {"identity": session.identity_arn, **labels_told(draft)}
            if owner_before not in {"", actor.username}:
                about["owner"], was_told["owner"] = actor.username, owner_before
            saved = draft.as_event(kind, alias=draft.alias, profile=draft.profile, **about)
            if isinstance(saved, SessionEdited):
                unset = dict.fromkeys(saved.as_data().keys() - {"owner", "secrets_changed"})
                saved = saved.from_what_was(unset | was_told)
            told = Entry(saved, actor, session)
            ledger.append(actor.team_id, [told, *entries])
            return session
    except IntegrityError as error:
        if "alias" in str(error):
            raise Refused(
                "alias", f"The team already has a session called “{draft.alias}”."
            ) from None
        raise


def is_unchanged(draft: Draft, session: AwsSession) -> bool:
    """Check whether a session is what a draft says, with an owner who may assume it."""
    stored = Draft.of(session)
    has_labels = {each.lower() for each in draft.labels} == {each.lower() for each in stored.labels}
    plain, stored = (replace(each, identity_arn="", labels=()) for each in (draft, stored))
    is_same = has_labels and plain == stored
    return is_same and not draft.secrets and not is_orphaned(session)


def told_of(session: AwsSession) -> dict[str, Any]:
    """Return what an event says of a stored session: everything but its secrets."""
    told = Draft.of(session).as_event(
        SessionEdited,
        alias=session.alias,
        profile=session.profile,
        identity=session.identity_arn,
        **labels_told(Draft.of(session)),
    )
    said = told.as_data()
    said.pop("secrets_changed", None)
    return {key: value for key, value in said.items() if value not in (None, "", {})}


def labels_told(draft: Draft) -> dict[str, Any]:
    """Return what events say of a draft's labels and of its mark."""
    return {"labels": draft.labels, "sensitive": draft.sensitive}


def _owner_of(session: AwsSession) -> str:
    """Return who answers for a chained session."""
    author = session.link.author if session.is_chained else None
    return author.get_username() if author else ""


def _is_only_shown_otherwise(draft: Draft, session: AwsSession, actor: Actor) -> bool:
    """Tell if an edit changes of a chained session only what AWS is not told.

    That is its profile, its region, its labels and its mark.
    """
    if draft.kind != CHAINED:
        return False
    stored = Draft.of(session)
    shown = ("profile", "region", "labels", "sensitive")
    if all(getattr(draft, name) == getattr(stored, name) for name in shown):
        return False
    said = {**draft.link_fields(), "author": actor.user}
    return draft.alias == session.alias and all(
        getattr(session.link, name) == value for name, value in said.items()
    )


def _become_another(session: AwsSession) -> None:
    """Count that a root may be somebody else from now on; of a chained session its role says so."""
    if not session.is_chained:
        session.identity_version += 1
        session.save(update_fields=["identity_version"])


def begin_saving(draft: Draft, actor: Actor, session: AwsSession | None) -> Actor:
    """Lock the team and read the member again.

    They must still be allowed to save that draft, or to test it before.
    """
    if session is None:
        actor = begin(actor, Action.CREATE_CHAINED if draft.kind == CHAINED else Action.CREATE_ROOT)
    else:
        actor = begin(actor, Action.EDIT, session)
        if draft.kind != session.kind:
            raise Refused(
                "", f"“{session.alias}” is of another kind: {session.get_kind_display()}."
            )
        check_token(
            actor,
            session,
            role_arn=draft.hop.role_arn,
            assumer=draft.assumer,
            settings=draft.settings,
        )
    if draft.kind != CHAINED:
        # Also for a root that is there: its settings may be wholly others.
        reason = (
            why_not_create(draft.kind, actor)
            if session is None
            else why_not_kind(draft.kind, actor.team)
        )
        if reason:
            raise Refused("", reason)
    return actor


def _write(draft: Draft, session: AwsSession, actor: Actor, *, creating: bool) -> None:
    if draft.kind != CHAINED:
        stored = None if creating else session
        told = draft.identity_arn or identity_told(
            actor.member, draft.kind, draft.settings, draft.secrets, stored
        )
        if told or draft.secrets or dict(draft.settings) != session.settings:
            session.identity_arn = told  # who it said it was before may be true no more
        session.settings, session.sts_region = dict(draft.settings), draft.sts_region
        if draft.secrets:
            session.secret_version += 1
            session.sealed_secrets = seal_root_secrets(draft.secrets, session.seal_context)
    session.save(force_insert=creating)
    if draft.assumer is not None:
        fields = {**draft.link_fields(), "author": actor.user}
        link, _ = AssumerLink.objects.update_or_create(session=session, defaults=fields)
        session.link = link


def check_place(draft: Draft, session: AwsSession, actor: Actor) -> None:
    """Refuse a cycle, a chain over the team's limit, another team's.

    Under the team's lock, so that it stays true.
    """
    if draft.kind != CHAINED:
        return
    assumer = draft.assumer and AwsSession.objects.filter(pk=draft.assumer.pk).first()
    if assumer is None or not can(actor, Action.USE_AS_ASSUMER, assumer):
        raise Refused("assumer", "Choose a session of your team to assume the role from.")
    if assumer.pk == session.pk:
        raise Refused("assumer", "A session cannot be its own assumer.")
    check_role(draft.hop.role_arn, actor, session)
    chain = assumer.chain()
    if any(each.pk == session.pk for each in chain):
        raise Refused(
            "assumer",
            f"“{assumer.alias}” is itself assumed from “{session.alias}”: the chain would go in a"
            " circle.",
        )
    # Where it stays under its assumer, what is below it is as deep as it was.
    moves = AssumerLink.objects.filter(session=session.pk).exclude(assumer=assumer).exists()
    height = session.height() if moves else 0
    depth = len(chain) + height
    if depth > actor.team.max_depth:
        below = f" (with the {height} more below it)" if height else ""
        raise Refused(
            "assumer",
            f"This would be a chain of {depth} AssumeRole calls{below}; the team's limit is"
            f" {actor.team.max_depth}.",
        )
