"""Make sessions, access and groups what a file says, all or nothing, under the team's lock."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from sessions import ledger
from sessions.actors import Actor
from sessions.catalog.access import change_access, write_group
from sessions.catalog.audiences import Access, Audience, access_of
from sessions.catalog.deletions import decide, take_from_everybody
from sessions.catalog.finding import SessionSearch, session_by_alias, sessions_seen_by
from sessions.catalog.sessions import is_unchanged, save_session
from sessions.catalog.team_view import TeamView, view_of_sessions
from sessions.exceptions import ActorGone, Refused, RightLost
from sessions.forms.declared.changes import Change, Made, Result, differences, plain
from sessions.forms.declared.reading import Document, Fault, Faulty, Path
from sessions.forms.declared.wanted import (
    SecretSource,
    Wanted,
    WantedAudience,
    WantedGroup,
    WantedSession,
    in_order,
    key_of,
    wanted_of,
)
from sessions.forms.fields import wrong_types
from sessions.forms.people import GroupForm
from sessions.forms.sessions import fields_of, form_for, stored_values
from sessions.ledger.chain import Gathered
from sessions.locks.team_lock import actor_again, lock_team
from sessions.models import AwsSession, Deletion, Membership, TeamGroup
from sessions.models.labels import load_labels
from sessions.permissions import orphaned_among

NAMED = 5


class PlanChanged(Exception):
    """Refuse to apply what is not what was shown before."""


def apply_document(
    document: Document,
    actor: Actor,
    *,
    secrets: SecretSource | None = None,
    prune: str = "",
    dry_run: bool = False,
    expected: Result | None = None,
) -> Result:
    """Make the team what a file says; return what has changed. The caller wakes workers.

    `prune`: sessions with that label that the file does not have are deleted. `dry_run`: everything
    is done and taken back. `expected`: what was shown; raises `PlanChanged` where it would be
    something else by now. Raises `Faulty`, and changes nothing, for whatever is refused.
    """
    wanted = wanted_of(document, secrets)
    with transaction.atomic(durable=True):
        lock_team(actor.team_id)
        actor, now = actor_again(actor)
        with ledger.gathered(actor.team_id, dropped=dry_run) as told:
            run = _Run(wanted, document, actor, now, told)
            run.all(prune)
            result = Result(tuple(run.changes), run.unchanged, applied=not dry_run)
            if expected is not None and expected.changes != result.changes:
                raise PlanChanged
        if dry_run:
            transaction.set_rollback(True)
    if not dry_run:
        for deletion in run.deletions:
            take_from_everybody(deletion)
    return result


class _Run:
    """Make one change after the other in the caller's transaction."""

    def __init__(
        self, wanted: Wanted, document: Document, actor: Actor, now: datetime, told: Gathered
    ) -> None:
        self.wanted, self.document, self.actor, self.told = wanted, document, actor, told
        self.view: TeamView = view_of_sessions(actor, now)
        self.now = now
        self.changes: list[Change] = []
        self.unchanged = 0
        self.faults: list[Fault] = []
        self.lacks_right = False
        self.deletions: list[Deletion] = []
        self.seen = sessions_seen_by(actor).select_related("link__assumer")
        self.stored: dict[str, AwsSession] = {}

    def all(self, prune: str) -> None:
        for each in self.wanted.sessions:
            if session := session_by_alias(self.seen, each.alias):
                self.stored[each.key] = session
        load_labels(self.stored.values())
        self.orphaned = orphaned_among(self.stored.values())
        ordered = in_order(self.wanted, self.document, self.exists)
        for group in self.wanted.groups:
            self.make(group.path, lambda group=group: self.group(group))  # type: ignore[misc]
        self.sessions(ordered)
        if not self.faults:
            for each in ordered:
                if each.access is not None:
                    self.make((*each.path, "access"), lambda each=each: self.access(each))  # type: ignore[misc]
        if prune and not self.faults:
            self.prune(prune)
        if self.faults:
            raise Faulty(*self.faults, status=403 if self.lacks_right else 422)

    def exists(self, alias: str) -> bool:
        return self.session_of(alias) is not None

    def session_of(self, alias: str) -> AwsSession | None:
        key = key_of(alias)
        if key not in self.stored and (found := session_by_alias(self.seen, alias.strip())):
            load_labels([found])
            self.stored[key] = found
        return self.stored.get(key)

    def make(self, path: Path, act: Callable[[], None]) -> Fault | None:
        """Make one change, or take all of it back and return why not."""
        told_before = len(self.told.entries)
        try:
            with transaction.atomic():
                act()
            return None
        except ActorGone:
            raise
        except Faulty as faulty:
            faults = [*faulty.faults]
        except RightLost:
            self.lacks_right = True
            faults = [self.document.fault(path, f"You may not do that: {_place(path)}.")]
        except Refused as refused:
            where = (*path, refused.field) if refused.field else path
            faults = [self.document.fault(where, refused.message)]
        self.told.drop_after(told_before)
        self.faults += faults
        return faults[0]

    # --- sessions ---

    def sessions(self, ordered: list[WantedSession]) -> None:
        """Save them, assumers first; again what others were in the way of.

        A chain can be too long for as long as what hangs below it has not moved yet.
        """
        left = ordered
        while left:
            before, self.faults, again = list(self.faults), [], []
            for each in left:
                if self.is_as_stored(each):
                    self.unchanged += 1
                elif self.make(each.path, lambda each=each: self.session(each)):  # type: ignore[misc]
                    again.append(each)
            found, self.faults = self.faults, before
            if len(again) == len(left) or not again:
                self.faults += found
                return
            left = again

    def values_of(self, each: WantedSession) -> dict[str, Any]:
        """Return what the session's form is given. Raises `Refused` without an assumer."""
        values: dict[str, Any] = {"alias": each.alias, **each.values}
        if each.assumer:
            assumer = self.session_of(each.assumer)
            if assumer is None:
                text = f"“{each.assumer}”, which it is assumed from, is refused itself."
                raise Refused("assumer", text)
            values["assumer"] = str(assumer.pk)
        session = self.stored.get(each.key)
        if session is not None and session.is_chained:
            values.setdefault("sensitive", session.marked_sensitive)
        return values

    def is_as_stored(self, each: WantedSession) -> bool:
        """Check whether a session is plainly what the file says, at no cost."""
        session = self.stored.get(each.key)
        if session is None or session.kind != each.kind or session.pk in self.orphaned:
            return False
        if each.assumer and self.session_of(each.assumer) is None:
            return False
        return _is_same(session, self.values_of(each))

    def session(self, each: WantedSession) -> None:
        session = self.stored.get(each.key)
        if session is not None and session.kind != each.kind:
            text = f"“{session.alias}” is of another kind, {session.kind}: delete it first."
            raise Refused("kind", text)
        values = self.values_of(each)
        if session is None or any(
            plain(values.get(name)) != plain(value) for name, value in session.settings.items()
        ):
            values |= each.secrets
        form = form_for(each.kind, values, view=self.view, session=session, is_page=False)
        wrong = wrong_types(form, values)
        if not wrong and form.is_valid():
            draft = form.draft()
            if session is not None and is_unchanged(draft, session):
                self.unchanged += 1
                return
            was = shown(session) if session is not None else {}
            saved = save_session(draft, self.actor, session)
            self.stored[each.key] = saved
            now = shown(saved) | dict.fromkeys(each.secrets.keys() & values.keys(), "(set)")
            fields = differences(was, now)
            made = Made.CREATED if session is None else Made.CHANGED
            self.changes.append(Change(made, "session", saved.alias, fields))
            return
        errors = wrong or form.errors
        raise Faulty(
            *(
                self.document.fault(
                    each.path if name == "__all__" else (*each.path, name), f"{name}: {reason}"
                )
                for name, reasons in errors.items()
                for reason in reasons
            )
        )

    def access(self, each: WantedSession) -> None:
        session = self.stored[each.key]
        assert each.access is not None
        stored = access_of(session)
        was = {"start": _said(stored.start), "assume": _said(stored.assume)}
        start = each.access.get("start", was["start"])
        assume = each.access.get("assume")
        if assume is None:
            # Closing a session closes it to assume from, as on its page.
            is_open = start.everyone if "start" in each.access else was["assume"].everyone
            assume = WantedAudience(is_open) if "start" in each.access else was["assume"]
        if {"start": start, "assume": assume} == was:
            return
        path = (*each.path, "access")
        wanted = Access(
            self.audience((*path, "start"), start), self.audience((*path, "assume"), assume)
        )
        change_access(session, wanted, self.actor)
        now = {"start": start, "assume": assume}
        fields = {name: (str(was[name]), str(now[name])) for name in now if was[name] != now[name]}
        self.changes.append(Change(Made.CHANGED, "access", session.alias, fields))

    def audience(self, path: Path, wanted: WantedAudience) -> Audience:
        if wanted.everyone:
            return Audience()
        groups = list(self.actor.team.groups.filter(name__in=wanted.groups))
        if missing := set(wanted.groups) - {each.name for each in groups}:
            named = ", ".join(sorted(missing))
            raise Faulty(self.document.fault(path, f"The team has no such group: {named}."))
        return Audience(False, self.members(path, wanted.people), groups)

    def members(self, path: Path, usernames: tuple[str, ...]) -> list[Membership]:
        found = Membership.objects.filter(team=self.actor.team_id, user__username__in=usernames)
        members = list(found.select_related("user"))
        if missing := set(usernames) - {each.user.get_username() for each in members}:
            named = ", ".join(sorted(missing))
            raise Faulty(self.document.fault((*path, "people"), f"Not in the team: {named}."))
        return members

    # --- groups and what is not in the file ---

    def group(self, each: WantedGroup) -> None:
        stored = TeamGroup.objects.filter(team=self.actor.team_id, name__iexact=each.name).first()
        members = self.members(each.path, each.people)
        people = sorted({member.user.get_username() for member in members})
        was: Mapping[str, Any] = {}
        if stored is not None:
            was = {
                "name": stored.name,
                "people": sorted(stored.members.values_list("user__username", flat=True)),
            }
        fields = differences(was, {"name": each.name, "people": people})
        if stored is not None and not fields:
            self.unchanged += 1
            return
        form = GroupForm({"name": each.name, "members": []}, team=self.actor.team)
        if not form.is_valid():
            raise Refused("name", str(next(iter(form.errors.values()))[0]))
        write_group(self.actor, form.cleaned_data["name"], members, stored)
        made = Made.CREATED if stored is None else Made.CHANGED
        self.changes.append(Change(made, "group", each.name, fields))

    def prune(self, label: str) -> None:
        """Delete what has a label and is not in the file, with what is assumed from it."""
        kept = {self.stored[each.key].pk for each in self.wanted.sessions}
        labelled = SessionSearch(label=label).find(self.actor, self.now)
        doomed = {each.pk: each for each in labelled if each.pk not in kept}
        below = {
            pk: {one.pk: one.alias for one, _ in each.dependants()} for pk, each in doomed.items()
        }
        for pk, session in doomed.items():
            if stays := sorted(alias for one, alias in below[pk].items() if one not in doomed):
                more = f" and {len(stays) - NAMED} more" if len(stays) > NAMED else ""
                text = (
                    f"“{session.alias}” has the label and is not in the file, but what stays is"
                    f" assumed from it: {', '.join(stays[:NAMED])}{more}."
                )
                self.faults.append(Fault((), None, text))
        if self.faults:
            return
        beneath = {one for each in below.values() for one in each}
        for pk, session in doomed.items():
            if pk not in beneath:
                self.make((), lambda session=session: self.delete(session))  # type: ignore[misc]
        for alias in sorted((each.alias for each in doomed.values()), key=str.lower):
            self.changes.append(Change(Made.DELETED, "session", alias, {}))

    def delete(self, session: AwsSession) -> None:
        _, deletion = decide(session, self.actor)
        if deletion is not None:
            self.deletions.append(deletion)


def shown(session: AwsSession) -> dict[str, Any]:
    """Show a session as a file has it: its assumer by alias, and no secrets."""
    values = stored_values(session)
    if session.is_chained:
        values["assumer"] = session.link.assumer.alias
    return {"kind": session.kind, **values}


def _is_same(session: AwsSession, values: Mapping[str, Any]) -> bool:
    """Check whether a session has exactly these values, without asking its form."""
    stored = stored_values(session)
    names = fields_of(session.kind).keys() - {"labels"}
    if any(plain(stored.get(name)) != plain(values.get(name)) for name in names):
        return False
    labels = values.get("labels") or []
    if not (isinstance(labels, list) and all(isinstance(each, str) for each in labels)):
        return False
    return {each.lower() for each in labels} == {each.lower() for each in stored["labels"]}


def _place(path: Path) -> str:
    return Fault(path, None, "").place


def _said(audience: Audience) -> WantedAudience:
    if audience.everyone:
        return WantedAudience(everyone=True)
    people = sorted(member.user.get_username() for member in audience.members)
    return WantedAudience(
        False, tuple(people), tuple(sorted(group.name for group in audience.groups))
    )
