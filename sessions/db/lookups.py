"""Send all values of an `in` as one parameter (`any_of`).

Thousands of values cost little more than one.

`role_key`: which role an ARN is of.
"""

import json
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, ForeignKey, Lookup, Transform, UUIDField


@CharField.register_lookup
@UUIDField.register_lookup
@ForeignKey.register_lookup
class AnyOf(Lookup):
    """Look up `pk__any_of=[…]` in columns of text or of UUIDs.

    Django's `in` writes, and psycopg splits, one mark per value.
    """

    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[Any]:
        kind: type
        match self._column():
            case UUIDField():
                kind, name = UUID, "UUIDs"
            case CharField():
                kind, name = str, "texts"
            case _:
                raise TypeError(f"{self.lhs.output_field} is not a column of text or of UUIDs.")
        values = list(self.rhs)
        if isinstance(self.rhs, str) or not all(isinstance(value, kind) for value in values):
            raise TypeError(f"any_of takes {name}.")
        return values

    def _column(self) -> Any:
        column = self.lhs.output_field
        while isinstance(column, ForeignKey):  # a key may itself point to another table
            column = column.target_field
        return column

    def get_db_prep_lookup(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        if connection.vendor != "sqlite":
            return "%s", [value]
        column = self._column()
        return "%s", [json.dumps([column.get_db_prep_value(each, connection) for each in value])]

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, before = self.process_lhs(compiler, connection)
        values, after = self.process_rhs(compiler, connection)
        if connection.vendor == "sqlite":
            return f"{column} IN (SELECT value FROM json_each({values}))", (*before, *after)  # noqa: S608  (a column of ours and one mark)
        return f"{column} = ANY({values})", (*before, *after)


@CharField.register_lookup
class RoleKey(Transform):
    """Define `role_arn__role_key`: what `sessions.aws.arn.role_key` makes of a role's ARN."""

    lookup_name = "role_key"
    output_field: Any = CharField()

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, *_: Any, **__: Any) -> Any:
        arn, params = compiler.compile(self.lhs)
        find = "instr" if connection.vendor == "sqlite" else "strpos"
        owner = f"substr({arn}, 1, {find}({arn}, ':role/'))"
        # Without all that is no slash at its end, it is what stands before the name.
        name = f"replace({arn}, rtrim({arn}, replace({arn}, '/', '')), '')"
        # A Turkish database would make another letter of an I.
        plain = "" if connection.vendor == "sqlite" else ' COLLATE "C"'
        return f"lower(({owner} || {name}){plain})", (*params,) * 5
