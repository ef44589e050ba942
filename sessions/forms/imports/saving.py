"""Save what was chosen of a preview, all or nothing, by the session's own form."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from sessions.actors import Actor
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.exceptions import ActorGone, Refused
from sessions.forms.imports.keeping import keep
from sessions.forms.imports.preview import DIFFERS, KEY_FIELDS, NEW, SAME, Preview, Row
from sessions.forms.sessions import form_for, stored_values
from sessions.imports.plan import CHAINED
from sessions.locks.team_lock import lock_team
from sessions.locks.versions import Changed
from sessions.models import AwsSession
from sessions.secret import Secret

MOST_AT_ONCE = 200
MOST_ERRORS = 20
Typed = Mapping[str, Mapping[str, Secret]]


@dataclass
class NotImported(Exception):
    """Report why nothing was imported: {key of a row: messages}, "" for the whole."""

    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """Hold what an import has saved."""

    created: list[AwsSession]
    changed: list[AwsSession]


def import_chosen(
    shown: Preview, actor: Actor, chosen: Collection[str], typed: Typed | None = None
) -> Imported:
    """Create and change sessions in one transaction, sources first. Raises `NotImported`.

    `typed` holds the keys of IAM users by row. Each session is saved by its own form, under the
    team's lock, with its own event.
    """
    rows = [row for row in shown.in_order() if row.key in chosen]
    if unknown := [key for key in chosen if key not in shown.rows]:
        raise NotImported({"": [f"There is no row {unknown[0][:80]!r} in these files."]})
    if not rows and not shown.plan.kept:
        raise NotImported({"": ["Choose at least one row."]})
    if len(rows) > MOST_AT_ONCE:
        raise NotImported(
            {"": [f"{len(rows)} rows are chosen; at most {MOST_AT_ONCE} are imported at once."]}
        )
    errors = _not_to_choose(rows, chosen)
    if errors:
        raise NotImported(errors)
    done = _Saving(actor, typed or {})
    with transaction.atomic():
        lock_team(actor.team_id)
        for row in rows:
            done.save(row)
            if len(done.errors) >= MOST_ERRORS:
                break
        if done.errors:
            raise NotImported(done.errors)
        keep(actor, shown, done.saved)
    return Imported(done.created, done.changed)


def _not_to_choose(rows: list[Row], chosen: Collection[str]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for row in rows:
        if row.problems:
            errors[row.key] = [each.message for each in row.problems]
        elif not row.may_be_chosen:
            errors[row.key] = ["Nothing is to be imported here: the session is there already."]
        elif row.source is not None and row.assumer is None and row.source.key not in chosen:
            name = row.source.item.alias
            errors[row.key] = [f"It is assumed from “{name}”: choose that row, too."]
    return errors


class _Saving:
    """Save rows one by one; what was saved of earlier rows is what later ones are assumed from."""

    def __init__(self, actor: Actor, typed: Typed) -> None:
        self.actor, self.typed = actor, typed
        self.view = view_of_sessions(actor, database_now())
        self.saved: dict[str, AwsSession] = {}
        self.created: list[AwsSession] = []
        self.changed: list[AwsSession] = []
        self.errors: dict[str, list[str]] = {}

    def save(self, row: Row) -> None:
        stored = row.existing if row.state == DIFFERS else None
        data: dict[str, Any] = dict(row.values)
        if stored is not None:
            data = stored_values(stored) | data
        for name in KEY_FIELDS:
            secret = self.typed.get(row.key, {}).get(name) or row.item.secrets.get(name)
            if secret and (name in row.needs or name in row.item.secrets):
                data[name] = secret.reveal()
        if row.item.kind == CHAINED:
            assumer = row.assumer
            if row.source is not None and row.source.key in self.saved:
                assumer = self.saved[row.source.key]
            if assumer is None:
                if row.source is not None and row.source.key in self.errors:
                    return  # the reason stands there
                self.errors[row.key] = ["Choose a session to assume the role from."]
                return
            data["assumer"] = str(assumer.pk)
        form = form_for(row.item.kind, data, view=self.view, session=stored, is_page=False)
        try:
            saved = None
            if form.is_valid():
                saved = form.save_seen(stored.version if stored is not None else None)
        except Changed as changed:
            self.errors[row.key] = [changed.message]
            return
        except ActorGone:
            raise
        except Refused as refused:
            self.errors[row.key] = [refused.message]
            return
        if saved is None:
            self.errors[row.key] = [
                f"{name}: {message}" if name != "__all__" else str(message)
                for name, messages in form.errors.items()
                for message in messages
            ]
            return
        self.saved[row.key] = saved
        (self.changed if stored is not None else self.created).append(saved)


__all__ = ["MOST_AT_ONCE", "NEW", "SAME", "Imported", "NotImported", "import_chosen"]
