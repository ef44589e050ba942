"""Read in one statement all that decides whether a token gets a session's credentials.

It decides nothing: the rows become the same objects that everything else asks, and `by_token` asks
them. What the credential's request was made from is read as one text, which is only ever compared:
so no chain is walked outside the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Field, Model, UUIDField

from sessions.actors import Actor
from sessions.models import (
    Activation,
    AssumerLink,
    AwsSession,
    Channel,
    Credential,
    Delivery,
    GrantedRight,
    Membership,
    Role,
    Team,
    TeamPolicy,
    Token,
    User,
)
from sessions.models.forest import DEEPEST
from sessions.permissions import OPERATORS


@dataclass(frozen=True)
class Facts:
    """Hold what one statement has read, at `now` by the database's clock.

    `delivery` is the token's own, with its narrowed credential. `is_granted`: the session is opened
    to the member by name or by a group. `is_owned`: the author of each link of the chain may use
    its assumer. `inputs`: what the request is made from.
    """

    actor: Actor
    session: AwsSession
    activation: Activation
    delivery: Delivery | None
    now: datetime
    is_granted: bool
    is_owned: bool
    inputs: str


# What each object is made of. Everything that a check may ask is read, whatever is added later;
# left out is what is large or secret and decides nothing.
_PARTS: tuple[tuple[str, type[Model], frozenset[str], frozenset[str]], ...] = (
    ("t", Token, frozenset(), frozenset()),
    ("u", User, frozenset({"id", "username", "is_active", "aws_name"}), frozenset()),
    ("m", Membership, frozenset(), frozenset()),
    ("s", AwsSession, frozenset(), frozenset({"sealed_secrets"})),
    ("l", AssumerLink, frozenset({"session", "role_arn"}), frozenset()),
    ("a", Activation, frozenset(), frozenset({"identity"})),
    ("c", Credential, frozenset(), frozenset({"request"})),
    ("d", Delivery, frozenset(), frozenset()),
    ("e", Credential, frozenset(), frozenset()),
)
_NOT_IN_A_PLAN = frozenset({"sealed_secrets"})

STATEMENT = """
WITH RECURSIVE chain(level, id, assumer_id) AS (
  SELECT 1, session_id, assumer_id FROM chains_assumerlink WHERE session_id = %s
  UNION ALL
  SELECT chain.level + 1, link.session_id, link.assumer_id
    FROM chain JOIN chains_assumerlink AS link ON link.session_id = chain.assumer_id
    WHERE chain.level < {deepest}
), hops AS (
  SELECT {text}({row}(chain.level, {hop}){as_text}, '') AS inputs,
    min(CASE WHEN x.deletion_id IS NULL AND w.id IS NOT NULL AND (
      w.role = '{admin}' OR x.open_to_assume OR EXISTS (
        SELECT 1 FROM chains_sessiongrant AS g WHERE g.session_id = x.id AND g."right" = '{assume}'
        AND (g.member_id = w.id OR g.group_id IN (
          SELECT teamgroup_id FROM chains_teamgroup_members WHERE membership_id = w.id))
      )) THEN 1 ELSE 0 END) AS is_owned
  FROM chain
  JOIN chains_assumerlink AS k ON k.session_id = chain.id
  JOIN chains_awssession AS x ON x.id = chain.assumer_id
  JOIN chains_awssession AS y ON y.id = chain.id
  LEFT JOIN chains_membership AS w ON w.team_id = y.team_id AND w.user_id = k.author_id
    AND w.disabled_at IS NULL AND w.role IN ({working})
    AND EXISTS (SELECT 1 FROM chains_user WHERE id = w.user_id AND is_active)
)
SELECT {columns},
  {now},
  CASE WHEN NOT t.is_bound OR EXISTS (
    SELECT 1 FROM chains_token_sessions AS b WHERE b.token_id = t.id AND b.awssession_id = s.id
  ) OR EXISTS (
    SELECT 1 FROM chains_token_labels AS b JOIN chains_sessionlabel AS h ON h.label_id = b.label_id
    WHERE b.token_id = t.id AND h.session_id = s.id
  ) THEN 1 ELSE 0 END,
  CASE WHEN NOT s.open_to_start AND EXISTS (
    SELECT 1 FROM chains_sessiongrant AS g WHERE g.session_id = s.id AND g."right" = '{start}'
    AND (g.member_id = m.id OR g.group_id IN (
      SELECT teamgroup_id FROM chains_teamgroup_members WHERE membership_id = m.id))
  ) THEN 1 ELSE 0 END,
  hops.is_owned,
  hops.inputs,
  {row}({team}){as_text},
  (SELECT count(*) FROM chains_scopingrefusal AS f
    WHERE f.team_id = t.team_id AND f.role_arn = l.role_arn)
FROM chains_token AS t
JOIN chains_user AS u ON u.id = t.user_id
JOIN chains_membership AS m ON m.team_id = t.team_id AND m.user_id = t.user_id
JOIN chains_awssession AS s ON s.id = %s AND s.team_id = t.team_id
JOIN chains_assumerlink AS l ON l.session_id = s.id
JOIN chains_activation AS a ON a.session_id = s.id AND a.user_id = t.user_id
JOIN chains_credential AS c ON c.fingerprint = a.credential_id AND c.team_id = t.team_id
JOIN chains_team AS tm ON tm.id = t.team_id
LEFT JOIN chains_teampolicy AS p ON p.team_id = t.team_id
LEFT JOIN chains_delivery AS d ON d.activation_id = a.id AND d.token_id = t.id
  AND d.team_id = t.team_id AND d.channel = '{endpoint}'
LEFT JOIN chains_credential AS e ON e.fingerprint = d.credential_id AND e.team_id = t.team_id
CROSS JOIN hops
WHERE t.digest = %s
"""


def look(digest: str, session_id: UUID) -> Facts | None:
    """Read what there is about a token and a session of its team that its person has started.

    None if one of them is missing.
    """
    statement, makers = _prepared(connection.vendor)
    key = UUIDField().get_db_prep_value(session_id, connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The order as written is the right one; to find it takes many times the query.
            cursor.execute("SET LOCAL join_collapse_limit = 1")
        cursor.execute(statement, [key, key, digest])
        row = cursor.fetchone()
    if row is None:
        return None
    found: list[Any] = []
    at = 0
    for make, width in makers:
        found.append(make(row[at : at + width]))
        at += width
    now, is_within, is_granted, is_owned, hops, team, unscoped = row[at:]
    token, user, member, session, link, activation, credential, delivery, child = found
    member.user = token.user = user
    session.link, activation.session, activation.credential = link, session, credential
    if delivery is not None and child is not None:
        delivery.credential = child
    # As the property reads it; of a bound token nothing else is asked here.
    token.bound_to = {session.pk: session.alias} if token.is_bound and is_within else {}
    return Facts(
        actor=Actor(member, token),
        session=session,
        activation=activation,
        delivery=delivery if child is not None else None,
        now=now if isinstance(now, datetime) else datetime.fromisoformat(now),
        is_granted=bool(is_granted),
        is_owned=bool(is_owned),
        inputs=f"{hops}\n{team}\n{unscoped} {user.pk} {user.aws_name}",
    )


Maker = Callable[[Sequence[Any]], Model | None]


@cache
def _prepared(vendor: str) -> tuple[str, list[tuple[Maker, int]]]:
    """Return the statement for a kind of database, and what makes objects of its row."""
    parts = [(alias, model, _fields(model, only, but)) for alias, model, only, but in _PARTS]
    columns = [name for alias, _, fields in parts for name in _columns(alias, fields)]
    hop = [
        *_columns("k", _fields(AssumerLink)),
        *_columns("y", _fields(AwsSession, but=_NOT_IN_A_PLAN)),
        *_columns("x", _fields(AwsSession, but=_NOT_IN_A_PLAN)),
    ]
    team = [*_columns("tm", _fields(Team)), *_columns("p", _fields(TeamPolicy))]
    is_postgresql = vendor == "postgresql"
    statement = STATEMENT.format(
        deepest=DEEPEST,
        text="string_agg" if is_postgresql else "group_concat",
        row="ROW" if is_postgresql else "json_array",
        as_text="::text" if is_postgresql else "",
        now="clock_timestamp()"
        if is_postgresql
        else "strftime('%%Y-%%m-%%dT%%H:%%M:%%f+00:00', 'now')",
        columns=", ".join(columns),
        hop=", ".join(hop),
        team=", ".join(team),
        admin=Role.ADMIN,
        assume=GrantedRight.ASSUME,
        start=GrantedRight.START,
        endpoint=Channel.ENDPOINT,
        working=", ".join(f"'{role}'" for role in sorted(OPERATORS)),
    )
    return statement, [
        (_maker(model, alias, fields), len(fields)) for alias, model, fields in parts
    ]


def _fields(
    model: type[Model], only: frozenset[str] = frozenset(), but: frozenset[str] = frozenset()
) -> "list[Field[Any, Any]]":
    return [
        field
        for field in model._meta.concrete_fields
        if field.name not in but and (not only or field.name in only)
    ]


def _columns(alias: str, fields: "Sequence[Field[Any, Any]]") -> list[str]:
    return [f'{alias}."{field.column}"' for field in fields]


def _maker(model: type[Model], alias: str, fields: "Sequence[Field[Any, Any]]") -> Maker:
    """Return what makes an object of its columns, as Django reads them; None of no row."""
    names = [field.attname for field in fields]
    key = names.index(model._meta.pk.attname)
    converters: list[tuple[int, Any, list[Any]]] = []
    for at, field in enumerate(fields):
        expression = field.get_col(alias)
        steps = [
            *connection.ops.get_db_converters(expression),
            *expression.get_db_converters(connection),
        ]
        if steps:
            converters.append((at, expression, steps))

    def make(values: Sequence[Any]) -> Model | None:
        if values[key] is None:
            return None
        read = list(values)
        for at, expression, steps in converters:
            for step in steps:
                read[at] = step(read[at], expression, connection)
        return model.from_db(connection.alias, names, read)

    return make
