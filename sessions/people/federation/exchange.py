"""Exchange a signed token of an issuer for a token of a robot's, by one of its trust rules."""

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from sessions import ledger
from sessions.actors import Actor, NamedActor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.robots import TokenExchanged, TrustCreated, TrustEnded
from sessions.locks.team_lock import begin, lock_team
from sessions.models import Membership, Robot, Scope, Token, TrustRule, token_text
from sessions.models.robots import LONGEST_LIFE_MINUTES
from sessions.people.federation.claims import (
    NotTrusted,
    issuer_of,
    mismatch,
    read_claims,
    validate_claims,
)
from sessions.people.log_ins import told_of_end
from sessions.people.robots import limits_of
from sessions.people.tokens import LONGEST_NAME, save_token
from sessions.permissions import Action
from sessions.secret import Secret

log = structlog.get_logger(__name__)

MOST_RULES = 20
RULE_ENDED = "trust ended"
# Expired ones are of no use to anybody: the ledger keeps their lines.
KEPT = timedelta(days=1)
FORGOTTEN_AT_ONCE = 100


@transaction.atomic(durable=True)
def create_rule(robot: Robot, draft: TrustRule, actor: Actor) -> TrustRule:
    """Have a robot trust whom a rule describes. Raises `Refused` for its field."""
    actor = begin(actor, Action.MANAGE_ROBOTS)
    robot = Robot.objects.select_related("user").get(pk=robot.pk, team=actor.team_id)
    if robot.ended_at:
        raise Refused("", "The robot was removed meanwhile.")
    if draft.issuer not in settings.CHAINWEB_OIDC_ISSUERS:
        raise Refused("issuer", "The operator names issuers in CHAINWEB_OIDC_ISSUERS.")
    if not 1 <= draft.minutes <= LONGEST_LIFE_MINUTES:
        raise Refused("minutes", f"1 to {LONGEST_LIFE_MINUTES} minutes.")
    if robot.rules.count() >= MOST_RULES:
        raise Refused("", f"A robot has at most {MOST_RULES} trust rules.")
    if not draft.scopes or set(draft.scopes) - set(Scope.values):
        raise Refused("scopes", f"Some of {', '.join(Scope.values)}.")
    try:
        draft.claims = validate_claims(draft.claims)
    except ValueError as error:
        raise Refused("claims", str(error)) from None
    draft.robot, draft.scopes = robot, sorted(draft.scopes)
    draft.save(force_insert=True)
    ledger.append(robot.team_id, [Entry(TrustCreated(**_said(draft, robot)), actor)])
    return draft


@transaction.atomic(durable=True)
def end_rule(rule: TrustRule, actor: Actor) -> bool:
    """End a rule, and the tokens that it gave. False if it has ended before."""
    actor = begin(actor, Action.MANAGE_ROBOTS)
    fresh = TrustRule.objects.select_related("robot__user").filter(pk=rule.pk).first()
    if fresh is None:
        return False
    now = database_now()
    living = list(fresh.tokens.filter(revoked_at=None, expires_at__gt=now).select_related("user"))
    Token.objects.filter(pk__any_of=[each.pk for each in living]).update(revoked_at=now)
    entries = [Entry(told_of_end(each, each.user, RULE_ENDED), actor) for each in living]
    told = TrustEnded(**_said(fresh, fresh.robot))
    fresh.delete()
    ledger.append(actor.team_id, [Entry(told, actor), *entries])
    return True


def _said(rule: TrustRule, robot: Robot) -> dict[str, Any]:
    return {
        "owner": robot.user.get_username(),
        "name": rule.name,
        "rule_id": str(rule.pk),
        "issuer": rule.issuer,
        "audience": rule.audience,
        "claims": dict(rule.claims),
        "scopes": tuple(rule.scopes),
        "minutes": rule.minutes,
    }


def exchange(robot_id: UUID, text: Secret) -> tuple[Token, Secret]:
    """Return a token of a robot's, and its text, for a signed token that one of its rules trusts.

    Raises `NotTrusted`, whatever robot it is and whether it is one, and `IssuerAway`.
    """
    issuer = issuer_of(text.reveal())
    rules = TrustRule.objects.filter(
        robot=robot_id, robot__ended_at=None, issuer=issuer
    ).select_related("robot__user")
    why = "No robot of that id trusts this issuer."
    for rule in rules:
        try:
            claims = read_claims(text.reveal(), issuer, rule.audience)
        except NotTrusted as refused:
            why = refused.reason
            continue
        if not (name := mismatch(rule.claims, claims)):
            return _give(rule, claims, text)
        why = f"Its claim “{name}” is not as the robot's trust rule wants it."
    log.warning("a token was not exchanged", robot=str(robot_id), issuer=issuer, why=why)
    raise NotTrusted(why)


@ledger.committed()
def _give(rule: TrustRule, claims: dict[str, Any], text: Secret) -> tuple[Token, Secret]:
    """Create the token under the team's lock: rule, robot and membership are read again."""
    lock_team(rule.robot.team_id)
    fresh = (
        TrustRule.objects.select_related("robot__user", "robot__team")
        .filter(pk=rule.pk, robot__ended_at=None, robot__user__is_active=True)
        .first()
    )
    if fresh is None or fresh.claims != rule.claims or fresh.audience != rule.audience:
        raise NotTrusted("The robot's trust rule has ended.")
    robot, now = fresh.robot, database_now()
    if not Membership.objects.filter(team=robot.team, user=robot.user, disabled_at=None).exists():
        raise NotTrusted("The robot was removed.")
    subject, jti = str(claims["sub"])[:300], claims.get("jti")
    digest = hashlib.sha256((str(jti) if jti else text.reveal()).encode()).hexdigest()
    secret = token_text.new_text(token_text.ROBOT)
    token = Token(
        team=robot.team,
        user=robot.user,
        name=f"{rule.name[:30]} · {subject}"[:LONGEST_NAME],
        digest=Token.digest_of(secret),
        expires_at=now + timedelta(minutes=min(fresh.minutes, LONGEST_LIFE_MINUTES)),
        scopes=list(fresh.scopes),
        rule=fresh,
        given_for=digest,
    )
    told = TokenExchanged(
        owner=robot.user.get_username(),
        token_id=str(token.pk),
        scopes=tuple(token.scopes),
        expires_at=token.expires_at,
        rule=fresh.name,
        issuer=fresh.issuer,
        subject=subject,
        jti=str(jti)[:200] if jti else "",
        repeated=fresh.tokens.filter(given_for=digest).exists(),
    )
    _forget_expired(fresh)
    save_token(token, limits_of(robot), NamedActor(told.owner), is_bound=robot.is_bound)
    ledger.append(robot.team_id, [Entry(told, NamedActor(told.owner))])
    return token, secret


def _forget_expired(rule: TrustRule) -> None:
    ended = rule.tokens.filter(expires_at__lt=database_now() - KEPT).values_list("pk", flat=True)
    Token.objects.filter(pk__in=list(ended[:FORGOTTEN_AT_ONCE])).delete()
