"""Keep the audit log of each team, and answer from it."""

from sessions.ledger.chain import (
    Entry,
    LedgerError,
    Subject,
    append,
    canonical,
    committed,
    gathered,
    hold,
    length,
)
from sessions.ledger.previous import START
from sessions.ledger.verification import teams_with_a_ledger, verify

__all__ = [
    "START",
    "Entry",
    "LedgerError",
    "Subject",
    "append",
    "canonical",
    "committed",
    "gathered",
    "hold",
    "length",
    "teams_with_a_ledger",
    "verify",
]
