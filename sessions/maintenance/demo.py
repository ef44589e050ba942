"""Seed the simulated AWS's demo team.

The first start creates it; each start renews its root's key.
"""

import base64
from dataclasses import dataclass

from django.db import transaction
from django.utils.crypto import salted_hmac

from sessions.actors import Actor, NamedActor
from sessions.aws.hop_settings import HopSettings
from sessions.aws.simulated import create_user
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.sessions import Draft, save_session
from sessions.db.clock import database_now
from sessions.models import (
    CHAINED,
    Activation,
    AwsSession,
    Credential,
    Membership,
    Role,
    Team,
    User,
)
from sessions.people.people import add_member, create_person, create_team
from sessions.secret import Secret

TEAM = "demo"
DEMO = NamedActor("demo")
PEOPLE = {"ada": Role.ADMIN, "ben": Role.MEMBER}
IAM_USER_ALIAS = "Landing zone key"
AMBIENT_ALIAS = "Chainweb worker"
AMBIENT_ARN = "arn:aws:sts::111122223333:assumed-role/ChainwebWorker/chainweb-worker"


@dataclass(frozen=True)
class DemoLogin:
    """Name who can log in to the demo; printed at every start."""

    name: str
    role: str
    password: str


# alias, profile, assumer's alias, role ARN: a chain of four from the IAM user, two shorter ones
# from the workers' identity.
CHAINS = [
    ("Audit hub", "audit-hub", IAM_USER_ALIAS, "arn:aws:iam::111122223333:role/org/AuditHub"),
    (
        "Security reader",
        "security-reader",
        "Audit hub",
        "arn:aws:iam::222233334444:role/SecurityReader",
    ),
    (
        "Prod database reader",
        "prod-db",
        "Security reader",
        "arn:aws:iam::444455556666:role/data/DatabaseReader",
    ),
    (
        "Prod incident shell",
        "prod-incident",
        "Prod database reader",
        "arn:aws:iam::444455556666:role/IncidentResponder",
    ),
    ("CI deployer", "ci-deployer", AMBIENT_ALIAS, "arn:aws:iam::333344445555:role/ci/Deployer"),
    ("Staging deploy", "staging", "CI deployer", "arn:aws:iam::555566667777:role/StagingDeploy"),
]


def demo_password(name: str) -> str:
    """Derive the demo's password from the secret key: stable within one installation."""
    letters = (
        base64.b32encode(salted_hmac("chainweb.demo", name, algorithm="sha256").digest())
        .decode()
        .lower()
    )
    return "-".join(letters[start : start + 4] for start in (0, 4, 8, 12))


def seed(endpoint_url: str) -> list[DemoLogin]:
    """Make what is missing of the demo and renew its root's key at the simulator."""
    team = Team.objects.filter(slug=TEAM).first()
    if team is None:
        team = create_team(TEAM, "Demo team", DEMO, ambient_enabled=True)
    actors = {name: Actor(_member(team, name, role)) for name, role in PEOPLE.items()}
    _renew_iam_user(team, actors["ada"], endpoint_url)
    if not team.aws_sessions.exclude(alias=IAM_USER_ALIAS).exists():
        _create_chains(team, actors["ada"])
    rotate_all()
    return [DemoLogin(name, str(role), demo_password(name)) for name, role in PEOPLE.items()]


def _member(team: Team, name: str, role: Role) -> Membership:
    user = User.objects.filter(username=name).first() or create_person(
        name, Secret(demo_password(name))
    )
    member = Membership.objects.filter(team=team, user=user).first()
    return member or add_member(team, user, role, DEMO)


def _renew_iam_user(team: Team, actor: Actor, endpoint_url: str) -> None:
    arn, key = create_user(endpoint_url, "landing-zone")
    root = team.aws_sessions.filter(alias=IAM_USER_ALIAS).first()
    if root is None and team.aws_sessions.exists():
        return  # the team has deleted or renamed it: theirs now
    draft = Draft(
        kind="iam-user",
        alias=IAM_USER_ALIAS,
        profile=root.profile if root else "landing-zone",
        region=root.region if root else "eu-west-1",
        settings={"access_key_id": key.access_key_id},
        secrets={"secret_access_key": key.secret_access_key},
        identity_arn=arn,
    )
    saved = save_session(draft, actor, root)
    if root is None:
        set_access(saved, Access(Audience(), Audience()), actor)
    AwsSession.objects.filter(pk=saved.pk).update(identity_arn=arn)


def _create_chains(team: Team, actor: Actor) -> None:
    ambient = save_session(Draft("ambient", AMBIENT_ALIAS, "chainweb-worker", "eu-west-1"), actor)
    set_access(ambient, Access(Audience(), Audience()), actor)
    AwsSession.objects.filter(pk=ambient.pk).update(identity_arn=AMBIENT_ARN)
    for alias, profile, assumer, role_arn in CHAINS:
        save_session(
            Draft(
                kind=CHAINED,
                alias=alias,
                profile=profile,
                region="eu-west-1",
                assumer=team.aws_sessions.get(alias=assumer),
                hop=HopSettings(role_arn=role_arn, role_session_name="{username}"),
            ),
            actor,
        )


@transaction.atomic
def rotate_all() -> None:
    """Forget every issued credential and renew what is active.

    The simulated AWS forgets at every stop.
    """
    rows = Credential.objects.all()
    rows.update(
        sealed=None,
        expires_at=None,
        minted_at=None,
        access_key_id="",
        due_at=None,
        asked_at=None,
        problem=None,
        attempts=0,
    )
    rows.filter(pk__in=Activation.objects.values("credential_id")).update(due_at=database_now())
