"""For .ci/run: `claim PG REDIS` prints the number of a Redis database that nobody uses, now marked as ours, if both
servers answer; `drop PG DATABASE REDIS NUMBER` leaves nothing behind. PG is user@host:port, REDIS host:port."""
# ruff: noqa: T201  (a script: it prints)

import sys

import psycopg
import redis
from psycopg import sql

MARK = "chainweb-ci"


def claim(pg: str, address: str) -> int:
    try:
        psycopg.connect(f"postgres://{pg}/postgres", connect_timeout=5).close()
    except psycopg.OperationalError as error:
        print(f"PostgreSQL does not answer at {pg}: {error}", file=sys.stderr)
        return 1
    host, _, port = address.rpartition(":")
    for number in range(15, 0, -1):
        try:
            with redis.Redis(host, int(port), db=number, socket_timeout=5) as server:
                if server.dbsize() == 0 and server.set(MARK, "1", nx=True):
                    print(number)
                    return 0
        except redis.RedisError as error:
            print(f"Redis does not answer at {address}: {error}", file=sys.stderr)
            return 1
    print(f"Redis at {address} has no empty database among 1 to 15.", file=sys.stderr)
    return 1


def drop(pg: str, database: str, address: str, number: str) -> int:
    with psycopg.connect(f"postgres://{pg}/postgres", autocommit=True) as connection:
        for name in (database, f"test_{database}"):  # pytest-django makes the second; a stopped run leaves it
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
    host, _, port = address.rpartition(":")
    with redis.Redis(host, int(port), db=int(number), socket_timeout=5) as server:
        server.flushdb()
    return 0


if __name__ == "__main__":
    sys.exit({"claim": claim, "drop": drop}[sys.argv[1]](*sys.argv[2:]))
