"""Declare people, teams, sessions, links, credentials, activations, the ledger and tokens."""

from sessions.models.console import ConsoleSignIn
from sessions.models.credentials import Activation, Credential, Ended, Probe, ProbeState
from sessions.models.deletions import Deletion
from sessions.models.deliveries import Channel, Delivery
from sessions.models.grants import ClosedByAdmin, GrantedRight, SessionGrant
from sessions.models.idempotency import KeyedRequest
from sessions.models.imports import KeptConfig, PendingImport
from sessions.models.labels import Colour, Label, SessionLabel
from sessions.models.ledger import Checkpoint, Event, LedgerHead, RepeatedData, Tombstone
from sessions.models.log_ins import FailedLogIns
from sessions.models.memberships import Invitation, Membership, Removal, Role, TeamGroup
from sessions.models.monitoring import Heartbeat, MetricCounter
from sessions.models.moves import Move
from sessions.models.names import NamesCounted, NameUse
from sessions.models.people import AwsName, Team, User
from sessions.models.problems import Problem
from sessions.models.robots import Robot, TrustRule
from sessions.models.roots import Approval, ApprovalStage, KeyRotation, RootAnswer
from sessions.models.searches import SavedSearch, SearchedPage
from sessions.models.sessions import CHAINED, AssumerLink, AwsSession
from sessions.models.siem import SiemCursor
from sessions.models.team_policy import Scoping, ScopingRefusal, SourceIdentity, TeamPolicy
from sessions.models.tokens import Scope, Token
from sessions.models.trail import (
    TrailCompared,
    TrailImport,
    TrailPart,
    TrailRecord,
    TrailSource,
    TrailState,
)

__all__ = [
    "CHAINED",
    "Activation",
    "Approval",
    "ApprovalStage",
    "AssumerLink",
    "AwsName",
    "AwsSession",
    "Channel",
    "Checkpoint",
    "ClosedByAdmin",
    "Colour",
    "ConsoleSignIn",
    "Credential",
    "Deletion",
    "Delivery",
    "Ended",
    "Event",
    "FailedLogIns",
    "GrantedRight",
    "Heartbeat",
    "Invitation",
    "KeptConfig",
    "KeyRotation",
    "KeyedRequest",
    "Label",
    "LedgerHead",
    "Membership",
    "MetricCounter",
    "Move",
    "NameUse",
    "NamesCounted",
    "PendingImport",
    "Probe",
    "ProbeState",
    "Problem",
    "Removal",
    "RepeatedData",
    "Robot",
    "Role",
    "RootAnswer",
    "SavedSearch",
    "Scope",
    "Scoping",
    "ScopingRefusal",
    "SearchedPage",
    "SessionGrant",
    "SessionLabel",
    "SiemCursor",
    "SourceIdentity",
    "Team",
    "TeamGroup",
    "TeamPolicy",
    "Token",
    "Tombstone",
    "TrailCompared",
    "TrailImport",
    "TrailPart",
    "TrailRecord",
    "TrailSource",
    "TrailState",
    "TrustRule",
    "User",
]
