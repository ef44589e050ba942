"""Fetch the lists that a person picks a root's setting from, by the person's own approval.

Only a worker can ask AWS for them.

Who wants one says so on their approval (`wanted`), a worker fetches it (`listed`): {key: {"at",
"choices" or "problem"}}, read as `Listed`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sessions.aws.errors import AwsError
from sessions.aws.roots import ROOT_KINDS, Choice, Field
from sessions.credentials.outcomes import problem_of
from sessions.db.clock import database_now
from sessions.models import Approval, ApprovalStage, AwsSession, Problem
from sessions.secret import Secret

# A list is fetched again when it is older.
FRESH = timedelta(minutes=5)


@dataclass(frozen=True)
class Listed:
    """Hold what a worker has found: what there is to pick, or what stood in the way."""

    choices: list[Choice]
    problem: Problem | None = None


@dataclass(frozen=True)
class Picks:
    """Hold the settings that are picked one after the other, and what is picked so far."""

    fields: Sequence[Field]
    chosen: dict[str, str]

    @classmethod
    def of(cls, fields: Sequence[Field], given: Mapping[str, str]) -> Self:
        """Read what is given, up to the first field that is not: the later ones depend on it."""
        chosen: dict[str, str] = {}
        for field in fields:
            value = given.get(field.name, "")
            if not value or not value.isprintable():
                break
            chosen[field.name] = value
        return cls(fields, chosen)

    @property
    def next(self) -> Field | None:
        """Return the field to pick now; None: all are picked."""
        return self.fields[len(self.chosen)] if len(self.chosen) < len(self.fields) else None


def picked_fields(root: AwsSession) -> list[Field]:
    """Return the settings that are picked from lists, in order.

    Each may depend on the one before.
    """
    return [field for field in ROOT_KINDS[root.kind].fields if field.from_list]


def want(approval: Approval, name: str, settings: Mapping[str, str]) -> Listed | None:
    """Return the list for that field under these settings.

    None: a worker has to fetch it; wake one.
    """
    key = _key(name, settings)
    known: dict[str, Any] | None = approval.listed.get(key)
    now = database_now()
    if known and datetime.fromisoformat(known["at"]) > now - FRESH:
        return _read(known)
    if approval.stage == ApprovalStage.GIVEN and key not in approval.wanted:
        approval.wanted[key] = {"name": name, "settings": dict(settings)}
        Approval.objects.filter(pk=approval.pk).update(wanted=approval.wanted, due_at=now)
    return None


def fetch(approval: Approval, state: Secret) -> dict[str, Any]:
    """In a worker that holds the row: asks AWS for what is wanted; the columns to write."""
    listed = dict(approval.listed)
    for key, wanted in approval.wanted.items():
        entry: dict[str, Any] = {"at": database_now().isoformat()}
        try:
            found = ROOT_KINDS[approval.kind].choices(
                wanted["name"], {**approval.settings, **wanted["settings"]}, state, approval.region
            )
            entry["choices"] = [[each.value, each.label] for each in found]
        except AwsError as error:
            entry["problem"] = problem_of(error).to_json()
        listed[key] = entry
    return {"wanted": {}, "listed": _newest(listed)}


def refused(approval: Approval, problem: Problem) -> dict[str, Any]:
    """The columns to write where nothing can be fetched at all."""
    entry = {"at": database_now().isoformat(), "problem": problem.to_json()}
    return {
        "wanted": {},
        "listed": _newest({**approval.listed, **dict.fromkeys(approval.wanted, entry)}),
    }


def _read(entry: Mapping[str, Any]) -> Listed:
    problem = entry.get("problem")
    return Listed(
        [Choice(value, label) for value, label in entry.get("choices", [])],
        Problem.from_json(problem) if problem else None,
    )


def _newest(listed: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(listed.items(), key=lambda item: item[1]["at"])[-20:])


def _key(name: str, settings: Mapping[str, str]) -> str:
    return json.dumps([name, dict(sorted(settings.items()))])
