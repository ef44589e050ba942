"""Make a database and a Redis number on this machine's servers, and leave nothing of them.

PGHOST, PGPORT, PGUSER, REDIS_HOST and REDIS_PORT say where they are, if not where CI has them.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis
from psycopg import sql

PG_HOST = os.environ.get("PGHOST") or "127.0.0.1"
PG = f"{os.environ.get('PGUSER') or 'postgres'}@{PG_HOST}:{os.environ.get('PGPORT') or '5432'}"
REDIS_HOST = os.environ.get("REDIS_HOST") or "127.0.0.1"
REDIS_PORT = int(os.environ.get("REDIS_PORT") or "6379")
MARK = "chainweb-tests"


class NotThere(Exception):
    """One of the two servers does not answer; the message says which and why."""


def connect() -> psycopg.Connection:
    try:
        return psycopg.connect(f"postgres://{PG}/postgres", autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise NotThere(f"PostgreSQL does not answer at {PG}: {error}") from error


def drop_database(name: str) -> None:
    with connect() as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def claim_redis_number() -> int:
    """A Redis database that nobody uses, marked as ours."""
    for number in range(15, 0, -1):
        try:
            with redis.Redis(REDIS_HOST, REDIS_PORT, db=number, socket_timeout=5) as server:
                if server.dbsize() == 0 and server.set(MARK, "1", nx=True):
                    return number
        except redis.RedisError as error:
            raise NotThere(
                f"Redis does not answer at {REDIS_HOST}:{REDIS_PORT}: {error}"
            ) from error
    raise NotThere(f"Redis at {REDIS_HOST}:{REDIS_PORT} has no empty database among 1 to 15.")


def empty_redis(number: int) -> None:
    with redis.Redis(REDIS_HOST, REDIS_PORT, db=number, socket_timeout=5) as server:
        server.flushdb()


@contextmanager
def scratch() -> Iterator[tuple[str, str]]:
    """(DATABASE_URL, REDIS_URL), both empty, and gone afterwards."""
    name = f"chainweb_tests_{uuid.uuid4().hex[:12]}"
    with connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        number = claim_redis_number()
        try:
            yield f"postgres://{PG}/{name}", f"redis://{REDIS_HOST}:{REDIS_PORT}/{number}"
        finally:
            empty_redis(number)
    finally:
        drop_database(name)
