"""The nouns: people and teams, sessions and their links, credentials and who needs them, the ledger, tokens."""

from sessions.models.credentials import Activation, Credential, Probe, ProbeState
from sessions.models.events import Event, EventKind, LedgerHead
from sessions.models.people import Membership, Role, Team, User
from sessions.models.roots import Approval, ApprovalStage, KeyRotation, RootAnswer
from sessions.models.sessions import CHAINED, AssumerLink, AwsSession
from sessions.models.team_policy import SourceIdentity, TeamPolicy
from sessions.models.tokens import Heartbeat, Tally, Token

__all__ = [
    "CHAINED",
    "Activation",
    "Approval",
    "ApprovalStage",
    "AssumerLink",
    "AwsSession",
    "Credential",
    "Event",
    "EventKind",
    "Heartbeat",
    "KeyRotation",
    "LedgerHead",
    "Membership",
    "Probe",
    "ProbeState",
    "Role",
    "RootAnswer",
    "SourceIdentity",
    "Tally",
    "Team",
    "TeamPolicy",
    "Token",
    "User",
]
