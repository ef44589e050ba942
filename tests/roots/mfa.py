"""Make roots that ask for a code of an MFA device."""

import itertools

from sessions.actors import Actor
from sessions.catalog.sessions import Draft, save_session

SERIAL = "arn:aws:iam::111122223333:mfa/device"
CODE = "123456"
_numbers = itertools.count(1)


def mfa_root(house, alias="MFA root", *, region="eu-west-1"):
    key = house.sts.add_user(f"mfa-user-{next(_numbers)}", mfa_device=(SERIAL, CODE))
    return save_session(
        Draft(
            kind="iam-user",
            alias=alias,
            profile=alias.lower().replace(" ", "-"),
            region=region,
            settings={"access_key_id": key.access_key_id, "mfa_serial": SERIAL},
            secrets={"secret_access_key": key.secret_access_key},
        ),
        Actor(house.ada),
    )


def protected(house, root, alias, **options):
    return house.chained(
        alias, root, arn=house.role_arn(f"Protected{next(_numbers)}", mfa=True), **options
    )
