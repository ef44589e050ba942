"""Make bearer tokens: shown once, good for what their owner may do at that moment."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction

from sessions import ledger
from sessions.actors import Actor, AnyActor, NamedActor
from sessions.aws.characters import refuse_unseen
from sessions.db.clock import Now, database_now
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.ledger import Entry
from sessions.ledger.events.tokens import TokenCreated, TokenRefused
from sessions.locks.team_lock import actor_again, lock_team, require_still
from sessions.models import (
    AwsSession,
    Label,
    Membership,
    Robot,
    Scope,
    TeamPolicy,
    Token,
    User,
    token_text,
)
from sessions.models.tokens import Address, validate_source_networks
from sessions.monitoring import token_use
from sessions.people.log_ins import told_of_end
from sessions.permissions import Action, memberships_of, require_fresh_groups
from sessions.secret import Secret

log = structlog.get_logger(__name__)

# Unless somebody asks for less, or the team allows less.
TOKEN_DAYS = 90
# What a team may allow at most.
LONGEST_TOKEN_DAYS = 3650
LONGEST_NAME = 64


@dataclass(frozen=True)
class Limits:
    """Say where a token is good: these sessions and labels alone, these networks alone, a device.

    Empty: on all, from all. `device` limits nothing: it names where the token is kept.
    """

    sessions: Sequence[AwsSession] = ()
    labels: Sequence[Label] = ()
    networks: Sequence[str] = ()
    device: str = ""


class OutsideNetworks(PermissionDenied):
    """Refuse a token that came from outside the networks it is for.

    It says from where the token seems to come, which its owner needs to know behind a proxy, and
    not from where it would be good, which a thief would.
    """

    def __init__(self, address: Address | None) -> None:
        where = f"from {address}" if address else "from an address that the proxy does not tell"
        self.message = (
            f"This token is not valid {where}. Its owner sees on the page “Tokens” from which"
            " networks it is."
        )
        super().__init__(self.message)


@ledger.committed()
def create_token(
    member: Membership,
    name: str,
    actor: AnyActor,
    days: int | None = None,
    scopes: Collection[Scope] = tuple(Scope),
    sessions: Sequence[AwsSession] = (),
    limits: Limits | None = None,
) -> Secret:
    """Create a token for a member and return its text, which exists only there.

    `sessions`: good for these alone; `limits` says that and more. `days`: as long as the team
    allows, and not more than `TOKEN_DAYS`, unless it is told.

    Raises `Refused` if the member has been removed, or has become something else, since the caller
    has read them, and for a name that another live token of theirs has.
    """
    limits = limits or Limits(sessions)
    lock_team(member.team.pk)
    fresh, now = actor_again(Actor(member))
    if fresh.member.role != member.role:
        raise RightLost("", f"The role of {member.user.get_username()} in this team has changed.")
    most = TeamPolicy.of(member.team_id).token_days
    days = min(TOKEN_DAYS, most) if days is None else days
    check_token(member.user, member.team_id, name, days, most, limits, now)
    secret = token_text.new_text(token_text.PERSON)
    token = Token(
        team=member.team,
        user=member.user,
        name=name,
        device=limits.device,
        digest=Token.digest_of(secret),
        networks=list(validate_source_networks(limits.networks)),
        expires_at=now + timedelta(days=days),
        scopes=sorted(str(scope) for scope in scopes),
    )
    ledger.append(member.team.pk, [save_token(token, limits, actor)])
    return secret


def save_token(
    token: Token, limits: Limits, actor: AnyActor, *, is_bound: bool | None = None
) -> Entry:
    """Store a new token and return what tells of it. Raises `NotThere` for a deleted session.

    `is_bound`: whether its limits count, which they do if there are any.
    """
    wanted = limits.sessions
    there = set(
        AwsSession.objects.filter(pk__any_of=[each.pk for each in wanted], team=token.team_id)
    )
    for session in wanted:
        if session not in there:
            raise NotThere("session", f"“{session.alias}” was deleted meanwhile.")
    labels = require_labels(token.team_id, limits.labels)
    token.is_bound = bool(there or labels) if is_bound is None else is_bound
    token.save(force_insert=True)
    token.sessions.set(there)
    token.labels.set(labels)
    created = TokenCreated(
        owner=token.user.get_username(),
        name=token.name,
        token_id=str(token.pk),
        scopes=tuple(token.scopes),
        expires_at=token.expires_at,
        sessions=tuple(sorted(each.alias for each in there)) if len(there) != 1 else (),
        labels=tuple(sorted(each.name for each in labels)),
        device=token.device,
        networks=tuple(token.networks),
    )
    return Entry(created, actor, next(iter(there)) if len(there) == 1 else None)


def require_labels(team_id: UUID, wanted: Sequence[Label]) -> list[Label]:
    """Read labels of a team again under its lock. Raises `NotThere` for a deleted one."""
    there = list(Label.objects.filter(team=team_id, pk__in=[each.pk for each in wanted]))
    if len(there) < len(wanted):
        raise NotThere("labels", "A label was deleted meanwhile.")
    return there


def check_token(
    user: User,
    team_id: UUID,
    name: str,
    days: int,
    most: int,
    limits: Limits,
    now: datetime,
) -> None:
    """Check what a new token is to be, under the team's lock. Raises `Refused` for its field."""
    if not 1 <= days <= most:
        raise Refused("days", f"Your team allows tokens of 1 to {most} days.")
    for field, text in (("name", name), ("device", limits.device)):
        try:
            refuse_unseen(text)
        except ValueError as error:
            raise Refused(field, str(error)) from None
        if len(text) > LONGEST_NAME:
            raise Refused(field, f"At most {LONGEST_NAME} characters.")
    if not name:
        raise Refused("name", "A token needs a name.")
    try:
        validate_source_networks(limits.networks)
    except ValueError as error:
        raise Refused("networks", str(error)) from None
    others = Token.objects.filter(team=team_id, user=user, revoked_at=None, expires_at__gt=now)
    if others.filter(name__iexact=name).exists():
        raise Refused("name", f"There is a token “{name}” already. Revoke it or choose another.")


@transaction.atomic(durable=True)
def revoke_token(token: Token, actor: AnyActor) -> bool:
    """Revoke a token. False if it was revoked before. A token may always end itself."""
    lock_team(token.team_id)
    if isinstance(actor, Actor):
        actor, _ = actor_again(actor)
        if actor.token is None or actor.token.pk != token.pk:
            require_still(actor, _right_to_end(token, actor))
    if not Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=database_now()):
        return False
    ledger.append(token.team_id, [Entry(told_of_end(token, token.user), actor)])
    return True


def _right_to_end(token: Token, actor: Actor) -> Action:
    if actor.user_id == token.user_id:
        return Action.END_TOKENS
    is_a_robots = Robot.objects.filter(user=token.user_id).exists()
    return Action.MANAGE_ROBOTS if is_a_robots else Action.MANAGE_PEOPLE


def actor_of_token(
    secret: Secret, *, address: Address | None = None, client: str = ""
) -> Actor | None:
    """Return who acts by that token, with the rights of this moment; its use is written down.

    None for unknown, expired, revoked, removed, disabled.

    Raises `OutsideNetworks` for one that is not for where it comes from, and `GroupsTooOld` for a
    person whose groups have to be read again first.
    """
    tokens = Token.objects.select_related("user").annotate(read_at=Now())
    token = tokens.filter(digest=Token.digest_of(secret)).first()
    if token is None or not token.is_valid(token.read_at):
        return None
    if not token.is_open_to(address):
        _tell_refusal(token, address)
        raise OutsideNetworks(address)
    member = memberships_of(token.user).filter(team=token.team_id).first()
    if member is None:
        require_fresh_groups(token.user, team=token.team_id)
        return None
    token_use.note_use(
        token.pk, token.last_used_at, token.read_at, address=str(address or ""), client=client
    )
    return Actor(member, token)


def _tell_refusal(token: Token, address: Address | None) -> None:
    """Tell the log each time, and the ledger now and then, that a token came from elsewhere."""
    log.warning(
        "a token came from outside its networks",
        id=str(token.pk),
        address=str(address or "unknown"),
    )
    read_at = getattr(token, "read_at", None) or database_now()
    if token_use.note_refusal(token, read_at, address=str(address or "")):
        told = TokenRefused(
            owner=token.user.get_username(),
            name=token.name,
            token_id=str(token.pk),
            networks=tuple(token.networks),
        )
        with ledger.committed():
            ledger.append(token.team_id, [Entry(told, NamedActor("nobody"))])
