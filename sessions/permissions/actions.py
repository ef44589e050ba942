"""List what a person can want, and which roles and scopes it takes."""

from enum import Enum, auto

from sessions.models import Role, Scope


class Action(Enum):
    """Name what a person can want."""

    VIEW = auto()
    START = auto()  # and stop, rotate, for oneself
    DISMISS = auto()  # a notice of one's own
    TAKE_CREDENTIALS = auto()
    CREATE_CHAINED = auto()
    USE_AS_ASSUMER = auto()
    CREATE_ROOT = auto()
    EDIT = auto()
    DELETE = auto()
    SHARE = auto()  # say whom a session is open to
    HOLD_TOKENS = auto()
    END_TOKENS = auto()  # one's own
    MANAGE_ROBOTS = auto()  # and their tokens, and whom they trust
    READ_LEDGER = auto()
    IMPORT_TRAIL = auto()  # records of CloudTrail, to be compared with the ledger; and delete them
    READ_POLICY = auto()
    EDIT_POLICY = auto()
    SEE_PEOPLE = auto()
    MANAGE_PEOPLE = auto()  # and others' tokens, invitations, groups


EVERYONE = {Role.MEMBER, Role.ADMIN, Role.AUDITOR}
OPERATORS = {Role.MEMBER, Role.ADMIN}

ROLES: dict[Action, set[Role]] = {
    Action.VIEW: EVERYONE,
    Action.START: OPERATORS,
    Action.DISMISS: EVERYONE,
    Action.TAKE_CREDENTIALS: OPERATORS,
    Action.CREATE_CHAINED: OPERATORS,
    Action.USE_AS_ASSUMER: OPERATORS,
    Action.CREATE_ROOT: {Role.ADMIN},
    Action.EDIT: OPERATORS,
    Action.DELETE: OPERATORS,
    Action.SHARE: OPERATORS,
    Action.HOLD_TOKENS: OPERATORS,
    Action.END_TOKENS: OPERATORS,
    Action.MANAGE_ROBOTS: {Role.ADMIN},
    Action.READ_LEDGER: {Role.ADMIN, Role.AUDITOR},
    Action.IMPORT_TRAIL: {Role.ADMIN, Role.AUDITOR},
    Action.READ_POLICY: {Role.ADMIN, Role.AUDITOR},
    Action.EDIT_POLICY: {Role.ADMIN},
    Action.SEE_PEOPLE: {Role.ADMIN, Role.AUDITOR},
    Action.MANAGE_PEOPLE: {Role.ADMIN},
}

# Which scope a token needs for it. What is not here no token can do: people are managed by people,
# logged in.
SCOPES: dict[Action, Scope] = {
    Action.START: Scope.USE,
    Action.DISMISS: Scope.USE,
    Action.TAKE_CREDENTIALS: Scope.CREDENTIALS,
    Action.CREATE_CHAINED: Scope.MANAGE,
    Action.USE_AS_ASSUMER: Scope.MANAGE,
    Action.CREATE_ROOT: Scope.MANAGE,
    Action.EDIT: Scope.MANAGE,
    Action.DELETE: Scope.MANAGE,
    Action.SHARE: Scope.MANAGE,
    Action.EDIT_POLICY: Scope.MANAGE,
    Action.IMPORT_TRAIL: Scope.MANAGE,
    # A scope of its own: who manages sessions by a tool does not thereby let people in.
    Action.MANAGE_PEOPLE: Scope.PEOPLE,
    Action.END_TOKENS: Scope.MANAGE,
    # No token makes one of a person's. A robot's that one makes ends with it at the latest.
    Action.MANAGE_ROBOTS: Scope.PEOPLE,
}
READING = {Action.VIEW, Action.READ_LEDGER, Action.READ_POLICY, Action.SEE_PEOPLE}
