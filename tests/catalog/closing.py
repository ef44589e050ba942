"""Make sessions that are closed to some, and read whom they are open to."""

from sessions.aws.hop_settings import HopSettings
from sessions.catalog.audiences import Audience, access_of
from sessions.catalog.sessions import Draft
from sessions.models import CHAINED, AwsSession

NOBODY, EVERYONE = Audience(everyone=False), Audience()


def only(*members, groups=()):
    return Audience(everyone=False, members=list(members), groups=list(groups))


def draft(house, arn, alias, assumer=None):
    return Draft(
        CHAINED,
        alias,
        alias,
        "eu-west-1",
        assumer=assumer or house.root,
        hop=HopSettings(role_arn=arn, role_session_name="{username}"),
    )


def stored(session):
    return access_of(AwsSession.objects.get(pk=session.pk))
