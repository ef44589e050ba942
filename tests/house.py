"""A team with people, a root, and chains made in one line; the AWS side stands ready for each."""

import itertools
import time
from dataclasses import replace

from allauth.account.internal.userkit import user_id_to_str
from django.test import Client

from sessions.activations.start_stop import start_session
from sessions.activations.status import State
from sessions.actors import Actor, NamedActor
from sessions.aws.hop_settings import HopSettings
from sessions.aws.parameters import parameters_of
from sessions.catalog.sessions import Draft, save_session
from sessions.catalog.team_view import view_of_team
from sessions.db.clock import database_now
from sessions.engine import call_pool, rotation
from sessions.models import CHAINED, AwsSession, Event, Role, Token
from sessions.people.people import add_member, create_person, create_team
from sessions.people.tokens import create_token
from sessions.secret import Secret
from tests.harness.seeding import Link, chained_in_bulk
from tests.prepared import prepared

PASSWORD = "correct horse battery staple"
ACCOUNT = "111122223333"
_numbers = itertools.count(1)


class TeamFixture:
    """Everything is made through the product's own functions."""

    def __init__(self, sts, slug="platform"):
        self.sts = sts
        self.slug = slug
        self.team, self.ada, self.ben, self.bea, self.eve = prepared(slug, self._people)
        self.root = self.iam_user("Root key")

    def _people(self):
        self.team = create_team(self.slug, self.slug.title(), actor=NamedActor("tests"))
        prefix = "" if self.slug == "platform" else f"{self.slug}-"
        ada = self.person(f"{prefix}ada", Role.ADMIN)
        ben = self.person(f"{prefix}ben", Role.MEMBER)
        bea = self.person(f"{prefix}bea", Role.MEMBER)
        eve = self.person(f"{prefix}eve", Role.AUDITOR)
        return self.team, ada, ben, bea, eve

    def person(self, name, role):
        return add_member(
            self.team, create_person(name, Secret(PASSWORD)), role, actor=NamedActor("tests")
        )

    def iam_user(self, alias, member=None, *, region="eu-west-1"):
        """Make an IAM user from which everyone of the team may assume.

        Without being opened, only admins may.
        """
        key = self.sts.add_user(f"user-{next(_numbers)}", account=ACCOUNT)
        root = save_session(
            Draft(
                kind="iam-user",
                alias=alias,
                profile=alias.lower().replace(" ", "-"),
                region=region,
                settings={"access_key_id": key.access_key_id},
                secrets={"secret_access_key": key.secret_access_key},
            ),
            Actor(member or self.ada),
        )
        # Without a line in the ledger, which tests count.
        AwsSession.objects.filter(pk=root.pk).update(open_to_assume=True)
        root.open_to_assume = True
        return root

    def role_arn(self, name, account=ACCOUNT, **rules):
        """Make a role that exists at the STS and trusts everybody, unless `rules` say otherwise."""
        arn = f"arn:aws:iam::{account}:role/{name}"
        self.sts.add_role(arn, **{"trusts": ["*"], **rules})
        return arn

    def chained(self, alias, assumer=None, *, member=None, name="{username}", arn=None, **extra):
        slug = alias.replace(" ", "")
        return save_session(
            Draft(
                kind=CHAINED,
                alias=alias,
                profile=extra.pop("profile", slug.lower()),
                region=extra.pop("region", "eu-west-1"),
                assumer=assumer or self.root,
                hop=HopSettings(
                    role_arn=arn or self.role_arn(f"{slug}{next(_numbers)}"),
                    role_session_name=name,
                    **extra,
                ),
            ),
            Actor(member or self.ada),
        )

    def chain(self, length, *, prefix="Hop", **options) -> list[AwsSession]:
        """That many sessions, each assumed from the one before; the first from the root."""
        sessions: list[AwsSession] = []
        for number in range(1, length + 1):
            sessions.append(
                self.chained(
                    f"{prefix} {number}", sessions[-1] if sessions else self.root, **options
                )
            )
        return sessions

    def start(self, session, member=None):
        return start_session(session, Actor(member or self.ben))

    def work(self):
        """Do what a worker does with a wake-up, without the broker."""
        while rotation.run():
            pass

    def state(self, session, member=None) -> State:
        return self.states([session], member)[0]

    def states(self, sessions, member=None) -> list[State]:
        """Of many at the cost of one: the team is read once."""
        view = view_of_team(Actor(member or self.ben), database_now())
        return [view.describe(view.sessions[session.pk]).state for session in sessions]

    def events(self, kind=None):
        lines = Event.objects.filter(team_id=str(self.team.pk)).order_by("seq")
        return list(lines.filter(kind=kind.tag) if kind else lines)

    def browser(self, member=None, *, minutes_ago: float = 0) -> Client:
        return browser_of(member or self.ben, minutes_ago=minutes_ago)

    def token(self, member=None) -> Secret:
        member = member or self.ben
        has_some = Token.objects.filter(user=member.user, name="tests", revoked_at=None).exists()
        name = f"tests {next(_numbers)}" if has_some else "tests"
        return create_token(member, name, actor=NamedActor("tests"))


def draft_of(session, **changes) -> Draft:
    """Return the draft that saves a session as it is, but for these fields of it or of its hop."""
    session = AwsSession.objects.get(pk=session.pk)
    draft = Draft(
        session.kind,
        session.alias,
        session.profile,
        session.region,
        labels=tuple(each.name for each in session.labels_shown),
        sensitive=session.marked_sensitive,
    )
    hop = {name: changes.pop(name) for name in parameters_of(HopSettings) if name in changes}
    if session.kind == CHAINED:
        settings = replace(session.link.settings, **hop)
        draft = replace(draft, assumer=session.link.assumer, hop=settings)
    else:
        draft = replace(draft, settings=dict(session.settings), identity_arn=session.identity_arn)
    return replace(draft, **changes)


def first_call_lies_too_long(monkeypatch) -> list[bool]:
    """Return a run's first call unmade; yield whether each call was made, in order."""
    answered = rotation.Run._answered
    made: list[bool] = []

    def note(run, queue, call, outcome):
        made.append(outcome is not None)
        monkeypatch.setattr(call_pool, "LONGEST_QUEUED_SECONDS", 60)
        answered(run, queue, call, outcome)

    monkeypatch.setattr(call_pool, "LONGEST_QUEUED_SECONDS", -1)
    monkeypatch.setattr(rotation.Run, "_answered", note)
    return made


def browser_of(member, *, minutes_ago: float = 0) -> Client:
    """Make a browser without a screen, logged in by password that many minutes ago."""
    client = Client()
    client.force_login(member.user)
    session = client.session
    record = {
        "method": "password",
        "at": time.time() - 60 * minutes_ago,
        "username": member.user.get_username(),
    }
    session["account_authentication_methods"] = [record]
    session["account_authentication_methods_user"] = user_id_to_str(member.user)
    session.save()
    return client


def crowd(house, number, *, assumer=None, prefix="Crowd") -> list[AwsSession]:
    """Make that many chained sessions in bulk, past the product's functions.

    A large team has as many; this takes no time.
    """
    links = (
        Link(
            f"{prefix} {at:04}",
            f"{prefix.lower()}-{at}",
            house.role_arn(f"{prefix}{at}"),
            assumer or house.root,
        )
        for at in range(number)
    )
    return chained_in_bulk(house.ada, links)
