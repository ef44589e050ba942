"""For .ci/run, from the checkout: `claim` prints the URLs' common part of PostgreSQL, the address
of Redis, and the number of a Redis database that is empty and now ours, if both servers answer;
`drop DATABASE NUMBER` leaves nothing behind.
"""
# ruff: noqa: T201  (a script: it prints)

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.harness import servers


def claim() -> int:
    try:
        servers.check()
        print(
            servers.PG, f"{servers.REDIS_HOST}:{servers.REDIS_PORT}", servers.claim_redis_number()
        )
    except servers.Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def drop(database: str, number: str) -> int:
    for name in (
        database,
        f"test_{database}",
    ):  # pytest-django makes the second; a stopped run leaves it
        servers.drop_database(name)
    servers.empty_redis(int(number))
    return 0


if __name__ == "__main__":
    sys.exit({"claim": claim, "drop": drop}[sys.argv[1]](*sys.argv[2:]))
