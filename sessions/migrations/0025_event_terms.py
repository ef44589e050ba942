"""Index the ledger by what a line can be found by; see sessions/ledger/terms.py."""

from django.db import migrations

# Only functions of PostgreSQL itself, so that a dump is restored whatever the search path is. The
# cost keeps the planner from asking the function about each line of the table.
FUNCTION = """
CREATE OR REPLACE FUNCTION chains_event_terms(
    team text, seq bigint, kind text, actor text, session text, alias text, data jsonb
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
DECLARE
    place text := team || '|' || (seq / 32768)::text || '|';
    terms text[] := ARRAY[
        'w|' || nullif(actor, ''),
        'k|' || kind,
        'k|' || split_part(kind, '.', 1),
        's|' || nullif(session, ''),
        's|' || nullif(alias, ''),
        'o|' || nullif(data ->> 'member', ''),
        'o|' || nullif(data ->> 'of', ''),
        's|' || nullif(data ->> 'group_id', ''),
        's|' || nullif(data ->> 'token_id', ''),
        's|' || nullif(data ->> 'invitation_id', ''),
        'a|' || nullif(data ->> 'account', ''),
        'a|' || nullif(split_part(data ->> 'role_arn', ':', 5), ''),
        'a|' || nullif(split_part(data ->> 'arn', ':', 5), ''),
        'a|' || nullif(split_part(data ->> 'identity', ':', 5), ''),
        'r|' || nullif(data ->> 'role_arn', ''),
        'r|' || nullif(regexp_replace(data ->> 'role_arn', '^.*/', ''), ''),
        'n|' || nullif(data ->> 'role_session_name', ''),
        'n|' || nullif(data ->> 'source_identity', ''),
        'n|' || nullif(data ->> 'aws_name', ''),
        'y|' || nullif(data ->> 'access_key_id', ''),
        'y|' || nullif(data ->> 'old_key_id', ''),
        'y|' || nullif(data ->> 'new_key_id', ''),
        'p|' || nullif(data ->> 'parent_access_key_id', ''),
        'i|' || nullif(data -> 'origin' ->> 'address', '')
    ];
BEGIN
    IF jsonb_typeof(data -> 'for') = 'array' THEN
        terms := terms || ARRAY(SELECT 'w|' || jsonb_array_elements_text(data -> 'for'));
    END IF;
    RETURN ARRAY(
        SELECT hashtextextended(place || term, 0)
        FROM unnest(terms) AS term WHERE term IS NOT NULL
    );
END $$
"""
# Without a list of what is yet to be sorted in: nobody waits while somebody else's append sorts.
INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS event_terms ON chains_event USING gin (
    chains_event_terms(team_id, seq, kind, actor, session_id, session_alias, data)
) WITH (fastupdate = off)
"""


def index(apps, schema_editor):
    """Build it beside running writers; a run that was cut off begins it again."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS event_terms")
        schema_editor.execute(FUNCTION)
        schema_editor.execute(INDEX)


def remove(apps, schema_editor):
    """Take index and function away."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS event_terms")
        schema_editor.execute(
            "DROP FUNCTION IF EXISTS"
            " chains_event_terms(text, bigint, text, text, text, text, jsonb)"
        )


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('chains', '0024_event_indexes'),
    ]

    operations = [migrations.RunPython(index, remove)]
