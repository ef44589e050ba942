"""Make a team and start its first sessions: `python -m chaos.seed SESSIONS STARTED REGION`.

One IAM user, ten middle roles in ten accounts, and below them the sessions in turn: two hops each,
the first one shared. Prints {"token", "sessions": [[id, account], …]}.
"""

import json
import sys

import django


def main(count: int, started: int, region: str) -> None:
    django.setup()
    # What follows reads the settings.
    from django.db import transaction

    from sessions.activations.start_stop import start_session
    from sessions.actors import Actor, NamedActor
    from sessions.models import AwsSession, Role, Team
    from sessions.people.people import add_member, create_person, create_team
    from sessions.people.tokens import create_token
    from tests.harness.seeding import Link, chained, chained_in_bulk, iam_user

    us = NamedActor("chaos")
    team = create_team("chaos", "Chaos", actor=us)
    # The engine divides its hours, too.
    Team.objects.filter(pk=team.pk).update(activation_hours=200)
    team.refresh_from_db()
    ada = add_member(team, create_person("ada", None), Role.ADMIN, us)
    ben = add_member(team, create_person("ben", None), Role.MEMBER, us)
    root = iam_user(ada, "Landing zone key", region)
    accounts = [f"{200000000001 + number}" for number in range(10)]
    middles = [
        chained(
            ada,
            Link(f"Hub {account}", f"hub-{account}", f"arn:aws:iam::{account}:role/Hub", root),
            region,
        )
        for account in accounts
    ]
    leaves = chained_in_bulk(
        ada,
        (
            Link(
                f"Leaf {number}",
                f"leaf-{number}",
                f"arn:aws:iam::{accounts[number % 10]}:role/leaf/Leaf{number}",
                middles[number % 10],
            )
            for number in range(count)
        ),
        region,
    )
    ids = [leaf.pk for leaf in leaves]
    for first in range(0, started, 200):
        with transaction.atomic():
            for leaf in AwsSession.objects.filter(pk__in=ids[first : min(first + 200, started)]):
                start_session(leaf, Actor(ben))
    token = create_token(ben, "chaos", actor=us)
    sessions = [[str(leaf.pk), accounts[number % 10]] for number, leaf in enumerate(leaves)]
    print(json.dumps({"token": token.reveal(), "sessions": sessions}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
