"""Partition the events by month on PostgreSQL, and store ids and hashes in half the bytes.

All lines are copied, and writers wait meanwhile: about a minute for a million. SQLite stays as it is.
"""

from django.db import migrations, models

import sessions.db.compact_fields

REFUSE = """
CREATE OR REPLACE FUNCTION chains_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$
"""
# The unique index of team and number is each partition's own: one of all would have to begin with the
# time. That no number is given twice is what the ledger's head sees to.
TABLE = """
CREATE TABLE chains_event (
    id bigint NOT NULL DEFAULT nextval('chains_event_id_seq'),
    seq bigint NOT NULL CONSTRAINT chains_event_seq_check CHECK (seq >= 0),
    at timestamptz NOT NULL,
    team_id uuid NOT NULL,
    session_id uuid,
    kind varchar(40) NOT NULL,
    actor varchar(150) NOT NULL,
    session_alias varchar(64) NOT NULL,
    prev bytea NOT NULL,
    hash bytea NOT NULL,
    data jsonb NOT NULL
) PARTITION BY RANGE (at)
"""
# What comes in a month that nobody has made a partition for; one that holds lines of a month stays
# their place. Both functions run as their owner, so that a worker can have next month's made.
GUARDED = """
CREATE OR REPLACE FUNCTION chains_event_guard(part text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I.%I (LIKE %I.chains_event INCLUDING DEFAULTS'
        ' INCLUDING CONSTRAINTS INCLUDING STORAGE)', '{schema}', part, '{schema}');
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I.%I (team_id, seq)',
        part || '_line', '{schema}', part);
    EXECUTE format('CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON'
        ' %I.%I FOR EACH STATEMENT EXECUTE FUNCTION %I.chains_ledger_refuse()',
        '{schema}', part, '{schema}');
END $$
"""
PARTITION = """
CREATE OR REPLACE FUNCTION chains_event_partition(day date) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
    since date := date_trunc('month', day)::date;
    until date := (since + interval '1 month')::date;
    part text := 'chains_event_' || to_char(since, 'YYYYMM');
    owner oid := (SELECT relowner FROM pg_class WHERE oid = '{schema}.chains_event'::regclass);
    is_taken boolean;
BEGIN
    IF NOT pg_has_role(session_user, owner, 'MEMBER')
        AND (until <= current_date OR since > current_date + 62) THEN
        RAISE EXCEPTION 'only of this month and the next two';
    END IF;
    IF to_regclass(format('%I.%I', '{schema}', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE {schema}.chains_event IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT EXISTS (SELECT FROM {schema}.chains_event_rest WHERE at >= since AND at < until)
        INTO is_taken;
    IF is_taken OR to_regclass(format('%I.%I', '{schema}', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM {schema}.chains_event_guard(part);
    EXECUTE format('ALTER TABLE {schema}.chains_event ATTACH PARTITION {schema}.%I'
        ' FOR VALUES FROM (%L) TO (%L)', part, since, until);
    RETURN true;
END $$
"""
COLUMNS = "id, seq, at, team_id, session_id, kind, actor, session_alias, prev, hash, data"
COPY = f"""
INSERT INTO chains_event ({COLUMNS})
SELECT id, seq, at, team_id::uuid, nullif(session_id, '')::uuid, kind, actor, session_alias,
    decode(prev, 'hex'), decode(hash, 'hex'), data
FROM chains_event_before
"""
# What the operations below do away with.
OTHERS = ("event_of_session", "event_at")
TERMS = """
CREATE INDEX event_terms ON chains_event USING gin (
    chains_event_terms(team_id::text, seq, kind, actor, session_id::text, session_alias, data)
) WITH (fastupdate = off)
"""


def partition(apps, schema_editor):
    """Copy all lines into partitions."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        run = cursor.execute
        run("SELECT quote_ident(current_schema())")
        (schema,) = cursor.fetchone()
        run("LOCK TABLE chains_event IN ACCESS EXCLUSIVE MODE")
        run(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE NOT"
            " indisunique AND indrelid = 'chains_event'::regclass"
        )
        indexes = dict(cursor.fetchall())
        for name in OTHERS:
            indexes.pop(name, None)
            run(f"DROP INDEX IF EXISTS {name}")
        run("SELECT coalesce(max(id), 0) + 1 FROM chains_event")
        (next_id,) = cursor.fetchone()
        run(
            "SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date FROM chains_event"
            " UNION SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date ORDER BY 1"
        )
        days = [day for (day,) in cursor.fetchall()]
        run("ALTER TABLE chains_event RENAME TO chains_event_before")
        run("ALTER TABLE chains_event_before ALTER id DROP IDENTITY IF EXISTS")
        run("ALTER TABLE chains_event_before ALTER id DROP DEFAULT")
        for name in indexes:
            run(f"DROP INDEX {name}")
        run("DROP SEQUENCE IF EXISTS chains_event_id_seq")
        run("CREATE SEQUENCE chains_event_id_seq")
        run("SELECT setval('chains_event_id_seq', %s, false)", [next_id])
        run(TABLE)
        run("ALTER SEQUENCE chains_event_id_seq OWNED BY chains_event.id")
        for function in (REFUSE, GUARDED, PARTITION):
            run(function.replace("{schema}", schema))
        run("REVOKE ALL ON FUNCTION chains_event_guard(text), chains_event_partition(date) FROM public")
        run("SELECT chains_event_guard('chains_event_rest')")
        run("ALTER TABLE chains_event ATTACH PARTITION chains_event_rest DEFAULT")
        for day in days:
            run("SELECT chains_event_partition(%s)", [day])
        run(COPY)
        run("DROP TABLE chains_event_before")
        for name, definition in indexes.items():
            run(TERMS if name == "event_terms" else definition.replace("chains_event_before", "chains_event"))
        run(
            "CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON chains_event"
            " FOR EACH STATEMENT EXECUTE FUNCTION chains_ledger_refuse()"
        )
        run("ANALYZE chains_event")


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0032_failed_log_ins'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='event',
                    name='team_id',
                    field=sessions.db.compact_fields.UuidText(max_length=36),
                ),
                migrations.AlterField(
                    model_name='event',
                    name='session_id',
                    field=sessions.db.compact_fields.UuidText(blank=True, max_length=36),
                ),
                migrations.AlterField(
                    model_name='event',
                    name='prev',
                    field=sessions.db.compact_fields.HexText(max_length=64),
                ),
                migrations.AlterField(
                    model_name='event',
                    name='hash',
                    field=sessions.db.compact_fields.HexText(max_length=64),
                ),
            ],
            database_operations=[migrations.RunPython(partition)],
        ),
        # Times follow the numbers, so that a search by time halves those.
        migrations.RemoveIndex(model_name='event', name='event_at'),
        migrations.RemoveIndex(model_name='event', name='event_of_session'),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(fields=['session_id', 'seq'], name='event_by_session'),
        ),
    ]
