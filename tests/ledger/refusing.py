"""Make the database refuse lines of the ledger, as a trigger of somebody's would."""

from django.db import connection

POSTGRES = (
    "CREATE FUNCTION refuse_lines() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'no lines now'; END $$",
    "CREATE TRIGGER refuse_lines BEFORE INSERT ON chains_event"
    " FOR EACH ROW EXECUTE FUNCTION refuse_lines()",
)
SQLITE = (
    "CREATE TRIGGER refuse_lines BEFORE INSERT ON chains_event"
    " BEGIN SELECT RAISE(ABORT, 'no lines now'); END",
)


def refuse_lines() -> None:
    """Refuse every line until the transaction that a test runs in is rolled back."""
    with connection.cursor() as cursor:
        for statement in POSTGRES if connection.vendor == "postgresql" else SQLITE:
            cursor.execute(statement)
