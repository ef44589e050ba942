"""Describe a problem of a credential for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions.models import Credential


@dataclass(frozen=True)
class Problem:
    """Hold what stands in the way: hop (0: the root), since when, what to check.

    `retrying`: it goes on without anybody's help.

    `people`: whom a root's problem concerns, where each has credentials of their own; nobody named:
    whoever uses it.
    """

    code: str
    hop: int
    message: str
    check: str
    since: datetime | None
    retrying: bool
    label: str
    waiting: bool = False
    people: tuple[str, ...] = ()
    # An edit has ended what the person had started: nothing is in the way, and they can dismiss it.
    is_ended: bool = False

    @property
    def is_refused(self) -> bool:
        """Tell if it stays until something changes: nobody is asked and nothing is retried."""
        return not self.retrying and not self.waiting

    @property
    def short_label(self) -> str:
        """The label where the time that is left stands beside it anyway."""
        return self.label.partition(",")[0]

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "hop": self.hop,
            "message": self.message,
            "check": self.check,
            "since": self.since,
            "label": self.label,
            "people": list(self.people),
        }


def problem_of(credential: Credential, now: datetime) -> Problem | None:
    """The credential's problem with a label for it: refused, waiting, delayed (still valid), or
    retrying.
    """
    return stored_problem(
        credential.problem, credential.expires_at if credential.is_live(now) else None
    )


def stored_problem(
    stored: Mapping[str, Any] | None, live_until: datetime | None = None
) -> Problem | None:
    """A problem as it is stored, with its label; `live_until` where something is served
    meanwhile.
    """
    if not stored:
        return None
    if stored.get("waiting"):
        label = waiting_label(stored["code"])
    elif not stored["retrying"]:
        label = "refused"
    elif live_until:
        label = f"delayed, valid until {live_until:%H:%M} UTC"
    else:
        label = "retrying"
    since = datetime.fromisoformat(stored["since"]) if stored.get("since") else None
    return Problem(
        stored["code"],
        stored["hop"],
        stored["message"],
        stored["check"],
        since,
        bool(stored["retrying"]),
        label,
        bool(stored.get("waiting")),
    )


def waiting_label(code: str) -> str:
    """Return what a root waits for, by how its code begins."""
    for begins, what in (("Code", "a code"), ("Approval", "an approval"), ("Choice", "a choice")):
        if code.startswith(begins):
            return f"waiting for {what}"
    return "waiting for a person"
