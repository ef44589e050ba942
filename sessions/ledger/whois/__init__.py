"""Answer whose a credential, a name or a record of CloudTrail was."""

from sessions.ledger.whois.answers import Certainty, Whois, whois
from sessions.ledger.whois.candidates import Candidate
from sessions.ledger.whois.clues import (
    Clues,
    clues_of,
    clues_of_record,
    looks_like_a_record,
)
from sessions.ledger.whois.lines import Delivery, Issue

__all__ = [
    "Candidate",
    "Certainty",
    "Clues",
    "Delivery",
    "Issue",
    "Whois",
    "clues_of",
    "clues_of_record",
    "looks_like_a_record",
    "whois",
]
