"""Serve /api/v1/ with the pages' own forms, permissions and events, by bearer token."""

from sessions.api import (
    access,
    credentials,
    downloads,
    drift,
    formats,
    imports,
    ledger,
    names,
    policy,
    roots,
    sessions,
    starting,
    whois,
)
from sessions.api.base import api

__all__ = [
    "access",
    "api",
    "credentials",
    "downloads",
    "drift",
    "formats",
    "imports",
    "ledger",
    "names",
    "policy",
    "roots",
    "sessions",
    "starting",
    "whois",
]
