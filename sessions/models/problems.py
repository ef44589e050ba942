"""Say what stands in the way of a credential, an approval or a key rotation, stored as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models
from django.db.models.fields.json import KeyTransform

_WAITS_FOR = {"Code": "a code", "Approval": "an approval", "Choice": "a choice"}


@dataclass(frozen=True)
class Problem:
    """Hold what stands in the way: at which hop (0: the root), since when, what to check.

    `retrying`: it goes on without anybody's help. `rejected`: AWS said no. `waiting`: a person has
    to give something first. One that is neither retrying nor waiting is final: it stays until
    something changes.

    `cause` is what tries are counted by: what passes automatically, the region, or one rejection.

    A root's has also `tried` and `home`: when AWS rejected its key last, and at which STS region;
    and `unanswered`: AWS may have used the code that was put back.

    The last three are for one viewer at one moment, and not stored. `served_until`: what was issued
    before works meanwhile. `people`: whom alone a root's problem concerns; nobody named: whoever
    uses it. `is_ended`: an edit has ended what the person had started; nothing is in the way, and
    they can dismiss it.
    """

    code: str
    hop: int
    message: str
    check: str
    since: datetime | None = None
    retrying: bool = False
    rejected: bool = False
    waiting: bool = False
    cause: str = ""
    # Of no interest to viewers: a list is sent again where the `repr` of its rows differs.
    tried: datetime | None = field(default=None, repr=False)
    home: str = field(default="", repr=False)
    unanswered: bool = field(default=False, repr=False)

    served_until: datetime | None = None
    people: tuple[str, ...] = ()
    is_ended: bool = False

    @property
    def is_final(self) -> bool:
        """Tell if it stays until something changes: nobody is asked and nothing is retried."""
        return not self.retrying and not self.waiting

    @property
    def label(self) -> str:
        """Name what becomes of it: rejected, waiting, delayed (something is served) or retrying."""
        if self.is_ended:
            return "ended"
        if self.waiting:
            return f"waiting for {self._waits_for}"
        if not self.retrying:
            return "rejected"
        if self.served_until:
            return f"delayed, valid until {self.served_until:%H:%M} UTC"
        return "retrying"

    @property
    def short_label(self) -> str:
        """Return the label for where the time that is left stands beside it."""
        return self.label.partition(",")[0]

    @property
    def _waits_for(self) -> str:
        """Name what a root waits for, by how the code begins."""
        known = (what for begins, what in _WAITS_FOR.items() if self.code.startswith(begins))
        return next(known, "a person")

    def untried(self) -> Self:
        """Return the problem without what is noted of the calls with a root's key and codes."""
        return replace(self, tried=None, home="", unanswered=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        stored: dict[str, Any] = {
            "code": self.code,
            "hop": self.hop,
            "message": self.message,
            "check": self.check,
            "since": self.since.isoformat(timespec="seconds") if self.since else None,
            "retrying": self.retrying,
            "rejected": self.rejected,
            "waiting": self.waiting,
            "cause": self.cause,
        }
        if self.tried:
            stored |= {"tried": self.tried.isoformat(), "home": self.home}
        if self.unanswered:
            stored["unanswered"] = True
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what is stored; rows of earlier versions have fewer keys."""
        since, tried = stored.get("since"), stored.get("tried")
        return cls(
            code=stored["code"],
            hop=stored.get("hop", 0),
            message=stored["message"],
            check=stored["check"],
            since=datetime.fromisoformat(since) if since else None,
            retrying=bool(stored.get("retrying")),
            rejected=bool(stored.get("rejected")),
            waiting=bool(stored.get("waiting")),
            cause=stored.get("cause") or "",
            tried=datetime.fromisoformat(tried) if tried else None,
            home=stored.get("home") or "",
            unanswered=bool(stored.get("unanswered")),
        )


_Set = TypeVar("_Set")
_Get = TypeVar("_Get")

if TYPE_CHECKING:

    class _JSONField(models.JSONField[_Set, _Get]): ...

else:

    class _JSONField(models.JSONField):
        def __class_getitem__(cls, _: Any) -> Any:
            return cls


class ProblemField(_JSONField[_Set, _Get]):
    """Store a `Problem` in a column of JSON; its keys can be asked for as those of a JSONField."""

    _pyi_private_set_type: Problem
    _pyi_private_get_type: Problem

    def deconstruct(self) -> Any:
        # To the database it is JSON: no migration depends on this class.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        found = super().from_db_value(value, expression, connection)
        is_whole = not isinstance(expression, KeyTransform)
        return Problem.from_json(found) if is_whole and found else found

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(value.to_json() if isinstance(value, Problem) else value)

    def value_to_string(self, obj: models.Model) -> Any:
        return self.get_prep_value(self.value_from_object(obj))
