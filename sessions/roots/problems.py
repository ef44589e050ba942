"""Merge the problems of a root into one for each viewer."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sessions.models import Credential, Membership, Problem, Role, User


def root_problems(root_ids: Iterable[Any], member: Membership, now: datetime) -> dict[Any, Problem]:
    """Return {root: its one problem}, a rejection before what waits or is retried.

    Where each person has root credentials of their own, others' are others' business; but admins
    see their rejections.
    """
    rows = Credential.objects.filter(root__in=root_ids, level=0, problem__isnull=False)
    found: dict[Any, list[tuple[str, Problem]]] = {}
    for row in rows.order_by("pk"):
        problem, person = row.problem_at(now), row.request.get("person", "")
        if problem and _concerns(problem, person, member):
            found.setdefault(row.root_id, []).append((person, problem))
    names = _names({person for problems in found.values() for person, _ in problems if person})
    return {root_id: _one_for_all(problems, names) for root_id, problems in found.items()}


def _concerns(problem: Problem, person: str, member: Membership) -> bool:
    if person in {"", str(member.user_id)}:
        return True
    return member.role == Role.ADMIN and problem.is_final


def _names(persons: Collection[str]) -> dict[str, str]:
    users = User.objects.filter(pk__in=persons) if persons else ()
    return {str(user.pk): user.get_username() for user in users}


def _one_for_all(problems: Sequence[tuple[str, Problem]], names: Mapping[str, str]) -> Problem:
    """Return the oldest final problem, with all people who have one; else the first problem."""
    final = [(person, problem) for person, problem in problems if problem.is_final]
    if not final:
        return problems[0][1]
    first = min(
        (problem for _, problem in final),
        key=lambda each: each.since.timestamp() if each.since else 0,
    )
    return replace(
        first, people=tuple(sorted(names[person] for person, _ in final if person in names))
    )
