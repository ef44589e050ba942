"""`any_of`: what `in` says, with all values as one parameter, so that hundreds of them cost little more to send than one."""

import json
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, ForeignKey, Lookup


@CharField.register_lookup
@ForeignKey.register_lookup
class AnyOf(Lookup):
    """`fingerprint__any_of=[…]`, for columns of text. Django's `in` writes, and psycopg splits, one mark per value."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[str]:
        column = self.lhs.output_field
        if not isinstance(getattr(column, "target_field", column), CharField):
            raise TypeError(f"{column} is not a column of text.")
        values = list(self.rhs)
        if isinstance(self.rhs, str) or not all(isinstance(value, str) for value in values):
            raise TypeError("any_of takes texts.")
        return values

    def get_db_prep_lookup(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return "%s", [json.dumps(value) if connection.vendor == "sqlite" else value]

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, before = self.process_lhs(compiler, connection)
        values, after = self.process_rhs(compiler, connection)
        if connection.vendor == "sqlite":
            return f"{column} IN (SELECT value FROM json_each({values}))", (*before, *after)  # noqa: S608  (a column of ours and one mark)
        return f"{column} = ANY({values})", (*before, *after)
