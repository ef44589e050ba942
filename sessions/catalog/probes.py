"""Test a draft before it is saved.

A chained draft is issued like any other need; a root draft is asked for its identity.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from sessions import ledger
from sessions.activations.ending import delete_probes
from sessions.actors import Actor
from sessions.aws.arn import RoleArn
from sessions.catalog.sessions import Draft, begin_saving, check_place
from sessions.catalog.tested import digest
from sessions.chains.requests import ensure_credentials, plan
from sessions.chains.rules import check_chain, check_link, check_name
from sessions.credentials.outcomes import problem_of, wrong_pointer
from sessions.credentials.payloads import seal_root_secrets
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.sessions import ProbeAsked
from sessions.locks import parts
from sessions.locks.busy_teams import skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import (
    CHAINED,
    AssumerLink,
    AwsSession,
    Credential,
    Probe,
    ProbeState,
    Problem,
    TeamPolicy,
)

PROBE_LIFE = timedelta(seconds=60)


@transaction.atomic
def start_probe(draft: Draft, actor: Actor, session: AwsSession | None) -> Probe:
    """Ask a worker to try a draft.

    Only the probe itself is saved, for a minute. Raises `Refused`.
    """
    actor = begin_saving(draft, actor, session)
    now = database_now()
    probe = Probe(
        team=actor.team,
        user=actor.user,
        session=session,
        kind=draft.kind,
        alias=draft.alias,
        region=draft.sts_region or draft.region,
        ends_at=now + PROBE_LIFE,
    )
    if draft.kind == CHAINED:
        trial = AwsSession(team=actor.team, kind=CHAINED, alias=draft.alias, region=draft.region)
        if session is not None:
            trial.pk = session.pk
        check_place(draft, trial, actor)
        assert draft.assumer is not None  # check_place has refused it otherwise
        trial.link = AssumerLink(session=trial, **draft.link_fields())
        probe.assumer = draft.assumer
        policy = TeamPolicy.of(actor.team_id)
        chain = [*draft.assumer.chain(), trial]
        check_link(trial.link, policy)
        check_name(trial, policy)
        check_chain(chain, policy)
        probe.credential = ensure_credentials(plan(chain, actor.member, policy), now, force=True)
        probe.result = {"started_at": now.isoformat()}
    else:
        probe.settings = dict(draft.settings)
        probe.tested = digest(probe, draft.kind, draft.settings, draft.secrets, session)
        if draft.secrets:
            probe.sealed_secrets = seal_root_secrets(draft.secrets, probe.seal_context)
    probe.save()
    asked = draft.as_event(ProbeAsked)
    ledger.append(actor.team_id, [Entry(asked, actor, session)])
    return probe


@dataclass(frozen=True)
class ProbeHop:
    """Hold one hop of a tried chain: `state` is ok, pending, failed or waiting for a hop above."""

    number: int
    alias: str
    arn: str
    state: str


@dataclass(frozen=True)
class ProbeReport:
    """Hold what a person sees of a probe, running or over."""

    id: str
    state: str
    identity: str = ""
    hops: list[ProbeHop] = field(default_factory=list)
    problem: Problem | None = None


def report_on(probe: Probe) -> ProbeReport:
    """Return a probe's state: as a worker wrote it for a root, as its credential's for a chain."""
    if probe.credential is not None and probe.credential.team_id != probe.team_id:
        foreign = problem_of(wrong_pointer(probe.credential.level))
        return ProbeReport(str(probe.pk), ProbeState.FAILED, problem=foreign)
    if probe.credential is None:
        stored = probe.result.get("problem")
        return ProbeReport(
            str(probe.pk),
            probe.state,
            identity=probe.result.get("identity", ""),
            problem=Problem.from_json(stored) if stored else None,
        )
    started_at = datetime.fromisoformat(probe.result["started_at"])
    now = database_now()
    path: list[Credential] = [probe.credential]
    while (parent := path[0].parent) is not None and parent.level > 0:
        path.insert(0, parent)
    leaf = probe.credential
    problem = leaf.problem_at(now)
    if leaf.minted_at is not None and leaf.minted_at >= started_at:
        state = ProbeState.OK
    elif problem is not None and (_has_its_answer(leaf) or now >= probe.ends_at):
        state = ProbeState.FAILED
    else:
        state = ProbeState.PENDING
    hops = [_hop(row, state, problem, now, last=row is leaf, alias=probe.alias) for row in path]
    return ProbeReport(
        str(probe.pk),
        state,
        identity=hops[-1].arn if state == ProbeState.OK else "",
        hops=hops,
        problem=problem,
    )


def _has_its_answer(leaf: Credential) -> bool:
    """Tell if the probe's own try was rejected, though it may be tried again later."""
    said = leaf.problem
    return leaf.asked_at is None and (said is None or said.rejected or not said.retrying)


def _hop(
    row: Credential, overall: str, problem: Problem | None, now: datetime, *, last: bool, alias: str
) -> ProbeHop:
    arn = RoleArn.parse(row.request["role_arn"])
    if overall == ProbeState.OK:
        state = "ok"
    elif problem is not None and problem.hop == row.level:
        state = "failed"
    elif problem is not None and problem.hop < row.level:
        state = "waiting"
    elif row.is_live(now) and not last:
        state = "ok"
    else:
        state = "pending"
    return ProbeHop(
        row.level,
        alias if last else arn.name,
        arn.assumed_role_arn(row.request["role_session_name"]),
        state,
    )


def delete_overdue() -> int:
    """Delete probes past their minute, and what only they needed. Run by the clock."""
    overdue = Probe.objects.filter(ends_at__lte=database_now())
    deleted = 0
    for team_id in set(overdue.values_list("team_id", flat=True)):
        with skip_if_busy(team_id), transaction.atomic():
            lock_team(team_id)
            # As many as one round of the clock may hold the lock for; the others are the next
            # round's.
            some = overdue.filter(team_id=team_id).order_by("ends_at")[: parts.AT_ONCE]
            deleted += delete_probes(some)
    return deleted
