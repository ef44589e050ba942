"""Make roots and chained sessions: single ones by the product's functions, many in bulk."""

from collections.abc import Iterable
from dataclasses import dataclass

from sessions.actors import Actor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.sessions import Draft, save_session
from sessions.models import CHAINED, AssumerLink, AwsSession, Membership
from sessions.secret import Secret

REGION = "eu-west-1"
ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Link:
    """Describe a chained session: its names, and what it assumes from where."""

    alias: str
    profile: str
    role_arn: str
    assumer: AwsSession


def iam_user(member: Membership, alias: str, region: str = REGION) -> AwsSession:
    """Make an IAM user's session with the key of AWS's documentation."""
    draft = Draft(
        kind="iam-user",
        alias=alias,
        profile=alias.lower().replace(" ", "-"),
        region=region,
        settings={"access_key_id": "AKIAIOSFODNN7EXAMPLE"},
        secrets={"secret_access_key": Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")},
    )
    return save_session(draft, Actor(member))


def chained(
    member: Membership, link: Link, region: str = REGION, name: str = "{username}"
) -> AwsSession:
    """Make one chained session; `name` is its role session name."""
    draft = Draft(
        kind=CHAINED,
        alias=link.alias,
        profile=link.profile,
        region=region,
        assumer=link.assumer,
        hop=HopSettings(role_arn=link.role_arn, role_session_name=name),
    )
    return save_session(draft, Actor(member))


def chained_in_bulk(
    member: Membership, links: Iterable[Link], region: str = REGION
) -> list[AwsSession]:
    """Make many chained sessions past the product's functions, which takes no time."""
    made = [
        AssumerLink(
            session=AwsSession(
                team=member.team,
                kind=CHAINED,
                alias=link.alias,
                profile=link.profile,
                region=region,
                created_by=member.user,
            ),
            assumer=link.assumer,
            role_arn=link.role_arn,
            role_session_name="{username}",
            author=member.user,
        )
        for link in links
    ]
    sessions = [link.session for link in made]
    AwsSession.objects.bulk_create(sessions, batch_size=ROWS_AT_ONCE)
    AssumerLink.objects.bulk_create(made, batch_size=ROWS_AT_ONCE)
    for session, link in zip(sessions, made, strict=True):
        session.link = link
    return sessions
