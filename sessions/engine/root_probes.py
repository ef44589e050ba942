"""Ask AWS for the identity of a root that is tested before saving."""

from collections.abc import Mapping

from django.db import transaction

from sessions import ledger
from sessions.actors import WORKER, Actor
from sessions.aws import advice
from sessions.aws.errors import AwsError, Rejected
from sessions.aws.responses import CallerIdentity
from sessions.aws.roots import ROOT_KINDS
from sessions.aws.sts import caller_identity
from sessions.catalog.tested import TOLD_FOR
from sessions.credentials.endpoints import call_with_fallback, route_for
from sessions.credentials.outcomes import problem_of
from sessions.credentials.payloads import open_root_secrets
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.roots import RootVerified
from sessions.models import (
    CHAINED,
    AwsSession,
    Probe,
    ProbeState,
    Role,
)
from sessions.permissions import why_not_create, with_fresh_groups, working_members
from sessions.roots import notices
from sessions.secret import Secret


def run_root_probe(probe_id: str) -> None:
    """Open a draft's secrets, ask AWS whose they are, and forget them (in a worker)."""
    probe = (
        Probe.objects.select_related("session", "user")
        .filter(pk=probe_id, state=ProbeState.PENDING)
        .first()
    )
    if probe is None or probe.kind == CHAINED:
        return
    # Roots are the admins' alone; who asked may have lost that meanwhile.
    admins = working_members(user=probe.user, team=probe.team_id, role=Role.ADMIN).select_related(
        "team", "user"
    )
    asked_by = admins.filter(with_fresh_groups()).first()
    if asked_by is None or why_not_create(probe.kind, Actor(asked_by)):
        return
    session = probe.session
    try:
        secrets = open_root_secrets(probe.sealed_secrets, probe.seal_context)
        if not secrets and session is not None:
            secrets = open_root_secrets(session.sealed_secrets, session.seal_context)
        identity = call_with_fallback(
            route_for(_account(probe), probe.region),
            lambda region: _identity(probe, secrets, region),
        )
        if identity.is_root_user:
            raise Rejected("RootUser", 0, *advice.root_user(identity.account))
    except AwsError as error:
        probe.state, probe.result = (
            ProbeState.FAILED,
            {"problem": problem_of(error, since=database_now()).to_json()},
        )
    else:
        probe.state, probe.result = ProbeState.OK, {"identity": identity.arn}
        probe.ends_at = database_now() + TOLD_FOR
    with transaction.atomic(durable=True):
        written = Probe.objects.filter(pk=probe.pk, state=ProbeState.PENDING).update(
            state=probe.state, result=probe.result, sealed_secrets=None, ends_at=probe.ends_at
        )
        if not written:
            return
        was = None
        if session is not None and probe.state == ProbeState.OK and probe.sealed_secrets is None:
            same = AwsSession.objects.filter(pk=session.pk, secret_version=session.secret_version)
            same = same.filter(settings=probe.settings)
            was = same.values_list("identity_arn", flat=True).first()
            same.update(identity_arn=probe.result["identity"])
        told = RootVerified(
            people=(probe.user.get_username(),),
            kind=probe.kind,
            identity=probe.result.get("identity"),
            problem=probe.result.get("problem"),
        )
        if was is not None:
            told = told.from_what_was({"identity": was})
        ledger.append(probe.team_id, [Entry(told, WORKER, session)])
    is_stored = (
        probe.sealed_secrets is None and session is not None and session.settings == probe.settings
    )
    if session is not None and is_stored and probe.state == ProbeState.OK:
        notices.record_working_key(session)


def _account(probe: Probe) -> str:
    """Name the account with whose calls a draft's count.

    Drafts that do not tell theirs count together.
    """
    return ROOT_KINDS[probe.kind].account(probe.settings) or "drafts"


def _identity(probe: Probe, secrets: Mapping[str, Secret], region: str) -> CallerIdentity:
    credentials = ROOT_KINDS[probe.kind].get_credentials(probe.settings, secrets, {}, region)
    return caller_identity(credentials, region)
