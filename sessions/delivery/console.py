"""Sign people in to the console: the event first, then a worker's token, which is read once.

The page writes the event and a row under the ledger head's lock, as any delivery. A worker opens
the leaf's credentials, exchanges them for a sign-in token and seals it into the row. The person's
page takes it out, and with that the row is gone.
"""

from uuid import UUID

from django.db import transaction

from sessions.activations.moves import follow_for
from sessions.activations.status import State, Status
from sessions.actors import Actor
from sessions.aws.credentials import AwsCredentials
from sessions.db.clock import database_now
from sessions.delivery.reveal import (
    Moving,
    NotPrepared,
    NotReady,
    NotYours,
    Preparing,
    prepare,
    taking,
)
from sessions.ledger.events.credentials import CONSOLE, ConsoleSignedIn
from sessions.models import AwsSession, ConsoleSignIn, Membership, Problem, User
from sessions.permissions import memberships_of
from sessions.sealing import open_sealed, seal
from sessions.secret import Secret

GONE = Problem(
    code="Renewed",
    hop=0,
    message="The session ended or was renewed before the console could be opened.",
    check="Open the console again.",
)


def ask_sign_in(
    session: AwsSession,
    actor: Actor,
    *,
    destination: str,
    region: str,
    delivery: UUID | None = None,
) -> ConsoleSignIn:
    """Write that a person signs in to the console at a page, and ask a worker for a token.

    The caller wakes a worker. Raises `NotReady`, or `Refused` for lost rights; or `Preparing` where
    the team's policy wants the credentials narrowed first: asked again with that `delivery`.
    """
    try:
        return _ask(session, actor, destination, region, delivery)
    except Moving:
        follow_for(session, actor.member)
        raise
    except NotPrepared as unprepared:
        raise Preparing(unprepared.state, prepare(session, actor)) from None
    except NotYours as lost:
        raise lost.why from None


def _ask(
    session: AwsSession, actor: Actor, destination: str, region: str, delivery: UUID | None
) -> ConsoleSignIn:
    with taking(session, actor, delivery) as taken:
        credential = taken.credential
        # The second line is what every reader of deliveries looks for: what somebody still holds,
        # whose it was, the stream to a SIEM.
        delivered = taken.as_event(CONSOLE, CONSOLE)
        signed_in = ConsoleSignedIn(
            access_key_id=credential.access_key_id,
            credential=credential.pk,
            expires_at=credential.expires_at,
            destination=destination,
            account=delivered.account,
        )
        asked = ConsoleSignIn.objects.create(
            team=actor.team,
            session=session,
            user=actor.user,
            delivery=taken.delivery.pk if taken.delivery else None,
            credential=credential.pk,
            access_key_id=credential.access_key_id,
            region=region,
            destination=destination,
            ends_at=taken.now + ConsoleSignIn.LIFE,
        )
        taken.tell(signed_in, delivered)
        return asked


def open_for(sign_in: ConsoleSignIn) -> tuple[AwsCredentials, int]:
    """Open the credentials that a sign-in's event named, and say at which hop (in a worker).

    Rights, activation and mark are read again under the lock. Raises `NotReady`.
    """
    member = _member(sign_in)
    if member is None:
        raise NotReady(State(Status.FAILED, GONE))
    # Whoever confirmed has done so when the event was written, a moment ago.
    actor = Actor(member, confirmed=True)
    with taking(sign_in.session, actor, sign_in.delivery) as taken:
        credential = taken.credential
    if (credential.pk, credential.access_key_id) != (sign_in.credential, sign_in.access_key_id):
        raise NotReady(State(Status.FAILED, GONE))
    return taken.open(), credential.level


def seal_token(sign_in: ConsoleSignIn, token: Secret) -> bytes:
    """Seal a sign-in token for its row (in a worker)."""
    return seal(token, sign_in.seal_context)


def take_token(sign_in: ConsoleSignIn) -> Secret | None:
    """Take a sign-in's token out; once, for the row goes. None if somebody was quicker."""
    with transaction.atomic():
        mine = ConsoleSignIn.objects.filter(pk=sign_in.pk, sealed__isnull=False)
        found = mine.filter(ends_at__gt=database_now()).first()
        if found is None or not mine.delete()[0]:
            return None
    assert found.sealed is not None
    return open_sealed(found.sealed, found.seal_context)


def sign_in_of(sign_in_id: UUID, user: User) -> ConsoleSignIn | None:
    """Find a person's own sign-in that is not used or over."""
    mine = ConsoleSignIn.objects.filter(pk=sign_in_id, user=user, ends_at__gt=database_now())
    return mine.select_related("session", "team").first()


def delete_overdue() -> None:
    """Delete sign-ins that nobody has used in time, and their tokens with them."""
    ConsoleSignIn.objects.filter(ends_at__lte=database_now()).delete()


def _member(sign_in: ConsoleSignIn) -> Membership | None:
    return memberships_of(sign_in.user).filter(team=sign_in.team_id).first()
