"""Create and remove people of an installation, as told by JSON lines on standard input.

    {"team": SLUG, "people": N}    → {"session", "people": [{"name", "token", "cookies"}, …]}:
                                     N members with one session active
    {"remove": NAME, "team": SLUG} → {"removed": NAME}, once that is committed

One role session name for everybody, so that all of them share one credential and one call to STS.
"""

import json
import sys
from typing import TYPE_CHECKING, Any

import django

from tests.harness.waiting import wait_for

if TYPE_CHECKING:
    from sessions.models import AwsSession, Membership


def main() -> None:
    django.setup()
    from sessions.actors import NamedActor
    from sessions.models import Membership
    from sessions.people.memberships import remove_member

    for line in sys.stdin:
        told = json.loads(line)
        if "remove" in told:
            members = Membership.objects.select_related("user", "team")
            member = members.get(user__username=told["remove"], team__slug=told["team"])
            remove_member(member, NamedActor("chaos"))
            answer: dict[str, Any] = {"removed": told["remove"]}
        else:
            answer = _people(told["team"], told["people"])
        print(json.dumps(answer), flush=True)


def _people(slug: str, count: int) -> dict[str, Any]:
    from sessions.activations.start_stop import start_session
    from sessions.actors import Actor, NamedActor
    from sessions.models import Role, Team
    from sessions.people.people import add_member, create_person
    from sessions.people.tokens import create_token

    team, session = _team(slug)
    first = team.memberships.count() + _gone(slug)
    people: list[dict[str, Any]] = []
    for number in range(first, first + count):
        name = f"{slug}-{number}"
        member = add_member(
            Team.objects.get(pk=team.pk),
            create_person(name, None),
            Role.MEMBER,
            actor=NamedActor("chaos"),
        )
        start_session(session, Actor(member))
        token = create_token(member, "chaos", actor=NamedActor("chaos")).reveal()
        people.append({"name": name, "token": token, "cookies": _log_in(member)})
    _wait_for(session, people[-1]["name"])
    return {"session": str(session.pk), "team": str(team.pk), "people": people}


def _team(slug: str) -> tuple[Any, "AwsSession"]:
    """Return the team of that name, made if need be, and its one session."""
    from sessions.actors import NamedActor
    from sessions.models import CHAINED, AwsSession, Role, Team
    from sessions.people.people import add_member, create_person, create_team
    from tests.harness.seeding import Link, chained, iam_user

    found = AwsSession.objects.filter(team__slug=slug, kind=CHAINED).select_related("team").first()
    if found is not None:
        return found.team, found
    team = create_team(slug, slug, actor=NamedActor("chaos"))
    Team.objects.filter(pk=team.pk).update(activation_hours=160)
    admin = add_member(team, create_person(f"{slug}-admin", None), Role.ADMIN, NamedActor("chaos"))
    shared = Link(
        "Shared", "shared", "arn:aws:iam::200000000099:role/Shared", iam_user(admin, "Key")
    )
    session = chained(admin, shared, name="everybody-of-chaos")
    return Team.objects.get(pk=team.pk), session


def _gone(slug: str) -> int:
    from sessions.ledger.events.people import MemberRemoved
    from sessions.models import Event

    removed = Event.objects.filter(kind=MemberRemoved.tag, data__member__startswith=f"{slug}-")
    return removed.count()


def _log_in(member: "Membership") -> dict[str, str]:
    """Return a browser's cookies, by which the member is logged in."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(member.user)
    return {
        settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value,
        settings.CSRF_COOKIE_NAME: "c" * 32,
    }


def _wait_for(session: "AwsSession", username: str) -> None:
    from sessions.db.clock import database_now
    from sessions.models import Activation

    theirs = Activation.objects.select_related("credential").filter(
        session=session, user__username=username
    )
    wait_for(lambda: theirs.get().credential.is_live(database_now()), "the shared session", 60)


if __name__ == "__main__":
    main()
