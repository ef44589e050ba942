"""Decide who may what: one function, one table. Rights are read from the database each time.

`can()` asks for what the role allows, what the token in use is good for, and whom the session is
open to.
"""

from sessions.permissions.actions import OPERATORS, ROLES, Action
from sessions.permissions.checks import (
    NotAllowed,
    PermissionChecker,
    can,
    grants_to,
    may_answer,
    not_to_change,
    why_not_create,
    why_not_kind,
)
from sessions.permissions.members import (
    GroupsTooOld,
    has_fresh_groups,
    memberships_of,
    require_fresh_groups,
    visible_to,
    with_fresh_groups,
    working_members,
)
from sessions.permissions.orphans import (
    NO_OWNER,
    author_role,
    descendants,
    is_orphaned,
    is_orphaned_chain,
    orphaned_among,
    orphaned_links,
)
from sessions.permissions.sensitive import Sensitive, check_sensitive

__all__ = [
    "NO_OWNER",
    "OPERATORS",
    "ROLES",
    "Action",
    "GroupsTooOld",
    "NotAllowed",
    "PermissionChecker",
    "Sensitive",
    "author_role",
    "can",
    "check_sensitive",
    "descendants",
    "grants_to",
    "has_fresh_groups",
    "is_orphaned",
    "is_orphaned_chain",
    "may_answer",
    "memberships_of",
    "not_to_change",
    "orphaned_among",
    "orphaned_links",
    "require_fresh_groups",
    "visible_to",
    "why_not_create",
    "why_not_kind",
    "with_fresh_groups",
    "working_members",
]
