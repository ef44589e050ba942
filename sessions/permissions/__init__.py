"""Decide who may what: one function, one table. Rights are read from the database each time.

`can()` asks for what the role allows, what the token in use is good for, and whom the session is
open to.
"""

from sessions.permissions.actions import OPERATORS, ROLES, Action
from sessions.permissions.checks import (
    NotAllowed,
    Rights,
    can,
    grants_to,
    may_answer,
    not_to_change,
    why_not_create,
    why_not_kind,
)
from sessions.permissions.members import (
    GroupsTooOld,
    memberships_of,
    require_fresh_groups,
    visible_to,
    with_fresh_groups,
    working_members,
)
from sessions.permissions.orphans import (
    CUT_OFF,
    author_role,
    below,
    cut_off,
    dead_among,
    is_cut_off,
    is_dead,
)

__all__ = [
    "CUT_OFF",
    "OPERATORS",
    "ROLES",
    "Action",
    "GroupsTooOld",
    "NotAllowed",
    "Rights",
    "author_role",
    "below",
    "can",
    "cut_off",
    "dead_among",
    "grants_to",
    "is_cut_off",
    "is_dead",
    "may_answer",
    "memberships_of",
    "not_to_change",
    "require_fresh_groups",
    "visible_to",
    "why_not_create",
    "why_not_kind",
    "with_fresh_groups",
    "working_members",
]
