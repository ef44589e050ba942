"""Make databases and take Redis numbers on running servers, and leave nothing of them.

PGHOST, PGPORT, PGUSER, REDIS_HOST and REDIS_PORT say where they are, if not where CI has them.
"""

import os
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import redis
from psycopg import sql

PG_HOST = os.environ.get("PGHOST") or "127.0.0.1"
PG = f"{os.environ.get('PGUSER') or 'postgres'}@{PG_HOST}:{os.environ.get('PGPORT') or '5432'}"
POSTGRES = f"postgres://{PG}/postgres"
REDIS_HOST = os.environ.get("REDIS_HOST") or "127.0.0.1"
REDIS_PORT = int(os.environ.get("REDIS_PORT") or "6379")
MARK = "chainweb-tests"


class Unavailable(Exception):
    """Something that is needed is not on this machine; the message says what and why."""


def connect(url: str = POSTGRES) -> psycopg.Connection[Any]:
    """Open a connection in which each statement commits. Raises psycopg.OperationalError."""
    return psycopg.connect(
        url.replace("postgres://", "postgresql://", 1), autocommit=True, connect_timeout=5
    )


def administer(statement: sql.Composed | sql.SQL, server: str = POSTGRES) -> None:
    """Run it as the administrator. Raises `Unavailable` if the server does not answer or do it."""
    try:
        with connect(server) as connection:
            connection.execute(statement)
    except psycopg.OperationalError as error:
        parts = urllib.parse.urlsplit(server)
        where = f"{parts.hostname}:{parts.port or 5432}"
        raise Unavailable(f"PostgreSQL does not answer at {where}: {error}") from error


def check() -> None:
    """Check that PostgreSQL answers. Raises `Unavailable`."""
    administer(sql.SQL("SELECT 1"))


def create_database(name: str, template: str = "", server: str = POSTGRES) -> str:
    """Make a database, as a copy of the template if one is named; return its URL."""
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    administer(statement, server)
    return url_of(name, server)


def url_of(name: str, server: str = POSTGRES) -> str:
    return urllib.parse.urlsplit(server)._replace(path=f"/{name}").geturl()


def rename_database(name: str, new_name: str, server: str = POSTGRES) -> None:
    names = sql.Identifier(name), sql.Identifier(new_name)
    administer(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names), server)


def drop_database(name: str, server: str = POSTGRES) -> None:
    administer(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)), server
    )


@contextmanager
def scratch_database(prefix: str, template: str = "") -> Iterator[str]:
    """Return the URL of a database of its own, gone at the end."""
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    url = create_database(name, template)
    try:
        yield url
    finally:
        drop_database(name)


def claim_redis_number() -> int:
    """Make a Redis database that nobody uses, marked as ours. Raises `Unavailable`."""
    for number in range(15, 0, -1):
        try:
            with redis.Redis(REDIS_HOST, REDIS_PORT, db=number, socket_timeout=5) as server:
                if server.dbsize() == 0 and server.set(MARK, "1", nx=True):
                    return number
        except redis.RedisError as error:
            raise Unavailable(
                f"Redis does not answer at {REDIS_HOST}:{REDIS_PORT}: {error}"
            ) from error
    raise Unavailable(f"Redis at {REDIS_HOST}:{REDIS_PORT} has no empty database among 1 to 15.")


def empty_redis(number: int) -> None:
    with redis.Redis(REDIS_HOST, REDIS_PORT, db=number, socket_timeout=5) as server:
        server.flushdb()


@contextmanager
def scratch() -> Iterator[tuple[str, str]]:
    """(DATABASE_URL, REDIS_URL), both empty, and gone afterwards."""
    with scratch_database("chainweb_tests") as url:
        number = claim_redis_number()
        try:
            yield url, f"redis://{REDIS_HOST}:{REDIS_PORT}/{number}"
        finally:
            empty_redis(number)
