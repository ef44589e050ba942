"""Teams, members and their tokens."""

from datetime import timedelta

from django.db import transaction

from sessions import ledger
from sessions.aws.names import aws_name_from
from sessions.clock import database_now
from sessions.ledger import Entry
from sessions.models import EventKind, Membership, Role, Team, Token, User
from sessions.secret import Secret

TOKEN_DAYS = 90


def free_aws_name(username: str) -> str:
    """A legal CloudTrail handle close to that name, which nobody has."""
    proposed = aws_name_from(username)
    name, number = proposed, 1
    while User.objects.filter(aws_name__iexact=name).exists():
        number += 1
        name = f"{proposed[: 31 - len(str(number))]}-{number}"
    return name


@transaction.atomic
def create_team(slug: str, name: str, actor: str, *, ambient_enabled: bool = False) -> Team:
    team = Team.objects.create(slug=slug, name=name, ambient_enabled=ambient_enabled)
    ledger.append(team.pk, [Entry(EventKind.TEAM_CREATED, actor, data={"slug": slug, "name": name})])
    return team


@transaction.atomic
def create_person(username: str, password: Secret, email: str = "") -> User:
    return User.objects.create_user(
        username=username, password=password.reveal(), email=email, aws_name=free_aws_name(username)
    )


@transaction.atomic
def add_member(team: Team, user: User, role: Role, actor: str) -> Membership:
    """Adds a person to a team, or changes what they are in it."""
    membership, _ = Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
    data = {"member": user.get_username(), "role": str(role), "aws_name": user.aws_name}
    ledger.append(team.pk, [Entry(EventKind.MEMBER_ADDED, actor, data=data)])
    return membership


@transaction.atomic(durable=True)
def create_token(member: Membership, name: str, actor: str, days: int = TOKEN_DAYS) -> Secret:
    """A new token for a member; the only time its text exists outside their hands."""
    secret = Token.new_secret()
    expires_at = database_now() + timedelta(days=days)
    token = Token.objects.create(
        team=member.team, user=member.user, name=name, digest=Token.digest_of(secret), expires_at=expires_at
    )
    data = {
        "of": member.user.get_username(),
        "name": name,
        "token_id": str(token.pk),
        "expires_at": expires_at.isoformat(timespec="seconds"),
    }
    ledger.append(member.team.pk, [Entry(EventKind.TOKEN_CREATED, actor, data=data)])
    return secret


def member_of_token(secret: Secret) -> tuple[Membership, Token] | None:
    """Who acts by that token, by the rights of this moment. None for unknown, expired, revoked, removed, disabled."""
    token = Token.objects.select_related("user", "team").filter(digest=Token.digest_of(secret)).first()
    if token is None or not token.is_valid(database_now()) or not token.user.is_active:
        return None
    member = (
        Membership.objects.select_related("team", "user").filter(team=token.team, user=token.user).first()
    )
    return (member, token) if member else None
