"""Make Identity Center roots, and approve as their people do."""

from sessions.actors import Actor
from sessions.catalog.sessions import Draft, save_session
from sessions.db.clock import database_now
from sessions.engine.approval_steps import work_due
from sessions.models import Approval
from sessions.roots.approvals import (
    approval_of,
    ask_approval,
)

ACCOUNT = "111122223333"


def portal(house, center, alias="Portal", *, session=None, region="eu-west-1", **chosen):
    draft = Draft(
        kind="identity-center",
        alias=alias,
        profile=alias.lower(),
        region=region,
        settings={"start_url": center.start_url, "sso_region": "eu-central-1", **chosen},
    )
    return save_session(draft, Actor(house.ada), session)


def due_now():
    Approval.objects.filter(due_at__isnull=False).update(due_at=database_now())


def look():
    due_now()
    work_due()


def approve(house, center, root, member=None):
    member = member or house.ben
    ask_approval(root, Actor(member))
    work_due()
    center.approve(approval_of(root, member).user_code, member.user.get_username())
    look()
    return approval_of(root, member)
