"""Make a team and start its first sessions: `python -m chaos.seed SESSIONS STARTED REGION`.

One IAM user, ten middle roles in ten accounts, and below them the sessions in turn: two hops each,
the first one shared. Prints {"token", "sessions": [[id, account], …]}.
"""

import json
import sys

import django

from sessions.actors import Actor, NamedActor


def main(count: int, started: int, region: str) -> None:
    django.setup()
    from django.db import transaction

    from sessions.activations.start_stop import start_session
    from sessions.aws.hop_settings import HopSettings
    from sessions.catalog.sessions import Draft, save_session
    from sessions.models import CHAINED, AssumerLink, AwsSession, Role, Team
    from sessions.people.people import add_member, create_person, create_team
    from sessions.people.tokens import create_token
    from sessions.secret import Secret

    team = create_team("chaos", "Chaos", actor=NamedActor("chaos"))
    Team.objects.filter(pk=team.pk).update(
        activation_hours=200
    )  # the engine divides its hours, too
    team.refresh_from_db()
    ada = add_member(
        team,
        create_person("ada", Secret("a long passphrase for ada")),
        Role.ADMIN,
        NamedActor("chaos"),
    )
    ben = add_member(
        team,
        create_person("ben", Secret("a long passphrase for ben")),
        Role.MEMBER,
        NamedActor("chaos"),
    )
    root = save_session(
        Draft(
            kind="iam-user",
            alias="Landing zone key",
            profile="landing-zone",
            region=region,
            settings={"access_key_id": "AKIAIOSFODNN7EXAMPLE"},
            secrets={"secret_access_key": Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")},
        ),
        Actor(ada),
    )
    accounts = [f"{200000000001 + number}" for number in range(10)]
    middles = [
        save_session(
            Draft(
                kind=CHAINED,
                alias=f"Hub {account}",
                profile=f"hub-{account}",
                region=region,
                assumer=root,
                hop=HopSettings(
                    role_arn=f"arn:aws:iam::{account}:role/Hub", role_session_name="{username}"
                ),
            ),
            Actor(ada),
        )
        for account in accounts
    ]
    # The sessions themselves in bulk: that they can be made one by one is not what is on trial.
    leaves = AwsSession.objects.bulk_create(
        [
            AwsSession(
                team=team,
                kind=CHAINED,
                alias=f"Leaf {number}",
                profile=f"leaf-{number}",
                region=region,
                created_by=ada.user,
            )
            for number in range(count)
        ],
        batch_size=1000,
    )
    AssumerLink.objects.bulk_create(
        [
            AssumerLink(
                session=leaf,
                assumer=middles[number % 10],
                role_arn=f"arn:aws:iam::{accounts[number % 10]}:role/leaf/Leaf{number}",
                role_session_name="{username}",
                author=ada.user,
            )
            for number, leaf in enumerate(leaves)
        ],
        batch_size=1000,
    )
    ids = [leaf.pk for leaf in leaves]
    for first in range(0, started, 200):
        with transaction.atomic():
            for leaf in AwsSession.objects.filter(pk__in=ids[first : min(first + 200, started)]):
                start_session(leaf, Actor(ben))
    token = create_token(ben, "chaos", actor=NamedActor("chaos"))
    sessions = [[str(leaf.pk), accounts[number % 10]] for number, leaf in enumerate(leaves)]
    print(json.dumps({"token": token.reveal(), "sessions": sessions}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
