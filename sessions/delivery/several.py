"""Deliver several sessions as one block: a credentials file with a section for each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.db.clock import Now
from sessions.delivery.prepared import is_prepared
from sessions.delivery.reveal import NotReady, Preparing
from sessions.delivery.snippets import Delivered, deliver, snippet_of
from sessions.exceptions import Refused
from sessions.models import CHAINED, Activation, AwsSession
from sessions.permissions import Action, PermissionChecker
from sessions.snippets import FORMATS

FORM = FORMATS["credentials-file"]
CONFIG = FORMATS["process-config"]
# Each session of a block is an event, durably written before the next is opened.
MOST_AT_ONCE = 50
# Each of its deliveries is confirmed by itself.
SENSITIVE = "It is sensitive: get its credentials on its own page."
_LONGEST_PROFILE = 128


@dataclass(frozen=True)
class Part:
    """Hold what became of one session of a block: its section, or why it has none."""

    session: AwsSession
    profile: str
    delivered: Delivered | None = None
    why: str = ""
    preparing: UUID | None = None


@dataclass(frozen=True)
class Block:
    """Hold the parts of a block, in the order of their profiles."""

    parts: Sequence[Part]

    @property
    def text(self) -> str:
        return "\n".join(each.delivered.text for each in self.parts if each.delivered)

    @property
    def expires_at(self) -> datetime | None:
        """Return when the first of them ends."""
        ends = [each.delivered.expires_at for each in self.parts if each.delivered]
        return min((end for end in ends if end), default=None)

    @property
    def preparing(self) -> Mapping[UUID, UUID]:
        """Return {session: its delivery} of those that a worker has to narrow first."""
        return {each.session.pk: each.preparing for each in self.parts if each.preparing}

    @property
    def is_empty(self) -> bool:
        return not any(each.delivered for each in self.parts)


def started_by(actor: Actor) -> list[AwsSession]:
    """List the member's own started sessions in the team."""
    started = Activation.objects.filter(user=actor.user, ends_at__gt=Now()).values("session")
    return list(_of_team(actor).filter(pk__in=started))


def chosen_by(actor: Actor, ids: Collection[UUID]) -> list[AwsSession]:
    """List the sessions of these ids; foreign, missing and deleted ones are left out."""
    return list(_of_team(actor).filter(pk__in=ids))


def deliver_several(
    sessions: Iterable[AwsSession],
    actor: Actor,
    *,
    via: str,
    base_url: str,
    deliveries: Mapping[UUID, UUID] | None = None,
) -> Block:
    """Deliver each of the sessions, one event each; what stands in the way of one is told with it.

    `deliveries`: those that were asked for before, by session.
    """
    asked = deliveries or {}
    parts = []
    for session, profile in named_apart(sessions):
        if session.is_sensitive:
            parts.append(Part(session, profile, why=SENSITIVE))
            continue
        try:
            delivered = deliver(
                session,
                actor,
                FORM,
                via=via,
                base_url=base_url,
                delivery=asked.get(session.pk),
                profile=profile,
            )
        except Preparing as preparing:
            why = "Its credentials are being issued: get them again in a moment."
            parts.append(Part(session, profile, why=why, preparing=preparing.delivery))
        except NotReady as not_ready:
            parts.append(Part(session, profile, why=_why(not_ready)))
        except Refused as refused:
            parts.append(Part(session, profile, why=refused.message))
        else:
            parts.append(Part(session, profile, delivered))
    return Block(parts)


def are_prepared(deliveries: Mapping[UUID, UUID]) -> bool:
    return all(is_prepared(each) for each in deliveries.values())


def named_apart(sessions: Iterable[AwsSession]) -> list[tuple[AwsSession, str]]:
    """Return the sessions with a profile each, no two the same.

    The first in the order of their aliases keeps a profile's name; another has its id's beginning
    behind it, so that it is called the same in the next file too.
    """
    ordered = sorted(sessions, key=lambda each: (each.profile, each.alias.casefold(), each.pk))
    names = {each.profile for each in ordered}
    taken: set[str] = set()
    found = []
    for session in ordered:
        name = session.profile
        if name in taken:
            mark = f"-{session.pk.hex[:8]}"
            name = session.profile[: _LONGEST_PROFILE - len(mark)] + mark
            if name in names | taken:
                mark = f"-{session.pk.hex}"
                name = session.profile[: _LONGEST_PROFILE - len(mark)] + mark
        taken.add(name)
        found.append((session, name))
    return found


def config_of(actor: Actor, base_url: str) -> str:
    """Return a config file with a profile for each session that the actor may take.

    It holds no secret: each profile asks this installation for its credentials.
    """
    rights = PermissionChecker(actor)
    open_to_them = [each for each in _of_team(actor) if rights.can(Action.TAKE_CREDENTIALS, each)]
    comments: list[str] = []
    sections = []
    for session, profile in named_apart(open_to_them):
        lines = CONFIG.render(snippet_of(session, base_url, profile)).splitlines()
        # What it says at its top is the same for all.
        comments = comments or [line for line in lines if line.startswith("#")]
        sections.append("\n".join(line for line in lines if not line.startswith("#")))
    return "\n".join([*comments, "\n\n".join(sections)]) + "\n" if sections else ""


def _of_team(actor: Actor) -> QuerySet[AwsSession]:
    return AwsSession.objects.filter(
        team=actor.team_id, kind=CHAINED, deletion=None
    ).select_related("team", "link")


def _why(not_ready: NotReady) -> str:
    state = not_ready.state
    if state.problem:
        return f"{state.problem.message} {state.problem.check}"
    if state.status is Status.PENDING:
        return "Its credentials are being issued: get them again in a moment."
    return "It is not active: start it first."
