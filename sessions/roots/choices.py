"""Fetch the lists that a person picks a root's settings from, by the person's own approval.

Only a worker can ask AWS for them. A request for a list is stored in the person's approval
(`wanted`). The worker stores the list there as well (`listed`): {key: {"at", "choices" or
"problem"}}, read as `ChoiceList`.
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
class ChoiceList:
    """Hold a list that a worker has fetched, or the problem that it met."""

    choices: list[Choice]
    problem: Problem | None = None


@dataclass(frozen=True)
class Picks:
    """Hold the settings that are picked from lists, in order, and the values picked so far."""

    fields: Sequence[Field]
    chosen: dict[str, str]

    @classmethod
    def of(cls, fields: Sequence[Field], given: Mapping[str, str]) -> Self:
        """Read the given values up to the first that is missing, as later ones depend on it."""
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
    """Return the settings that are picked from lists; each may depend on those before it."""
    return [field for field in ROOT_KINDS[root.kind].fields if field.from_list]


def request_list(approval: Approval, name: str, settings: Mapping[str, str]) -> ChoiceList | None:
    """Return the list for a field under these settings; None: a worker fetches it, wake one."""
    key = _key(name, settings)
    known: dict[str, Any] | None = approval.listed.get(key)
    now = database_now()
    if known and datetime.fromisoformat(known["at"]) > now - FRESH:
        return _read(known)
    if approval.stage == ApprovalStage.GIVEN and key not in approval.wanted:
        approval.wanted[key] = {"name": name, "settings": dict(settings)}
        Approval.objects.filter(pk=approval.pk).update(wanted=approval.wanted, due_at=now)
    return None


def fetch_lists(approval: Approval, state: Secret) -> dict[str, Any]:
    """Fetch the wanted lists from AWS, in a worker that holds the row; return columns to write."""
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


def failed_lists(approval: Approval, problem: Problem) -> dict[str, Any]:
    """Return the columns to write where no list can be fetched."""
    entry = {"at": database_now().isoformat(), "problem": problem.to_json()}
    return {
        "wanted": {},
        "listed": _newest({**approval.listed, **dict.fromkeys(approval.wanted, entry)}),
    }


def _read(entry: Mapping[str, Any]) -> ChoiceList:
    problem = entry.get("problem")
    return ChoiceList(
        [Choice(value, label) for value, label in entry.get("choices", [])],
        Problem.from_json(problem) if problem else None,
    )


def _newest(listed: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(listed.items(), key=lambda item: item[1]["at"])[-20:])


def _key(name: str, settings: Mapping[str, str]) -> str:
    return json.dumps([name, dict(sorted(settings.items()))])
