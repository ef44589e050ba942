"""Merge the problems of a root into one for each viewer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sessions.models import Credential, Membership, Problem, Role, User


def root_problems(root_ids: Iterable[Any], member: Membership, now: datetime) -> dict[Any, Problem]:
    """Return {root: its one problem}, a rejection before what waits or is retried.

    Where each person has base credentials of their own, others' are others' business; but admins
    see their refusals.
    """
    rows = Credential.objects.filter(root__in=root_ids, level=0, problem__isnull=False).order_by(
        "pk"
    )
    found: dict[Any, list[tuple[str, Problem]]] = {}
    for row in rows:
        problem, person = row.problem_at(now), row.request.get("person", "")
        is_theirs = person in {"", str(member.user_id)}
        if problem and (is_theirs or (member.role == Role.ADMIN and problem.is_final)):
            found.setdefault(row.root_id, []).append((person, problem))
    persons = {person for problems in found.values() for person, _ in problems if person}
    users = User.objects.filter(pk__in=persons) if persons else ()
    names = {str(user.pk): user.get_username() for user in users}
    return {root_id: _one_for_all(problems, names) for root_id, problems in found.items()}


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
