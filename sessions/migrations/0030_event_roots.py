"""Index what was issued by the root that its chain begins at; see sessions/ledger/terms.py.

No line of before says its root, so the index of terms needs no remaking.
"""

from django.db import migrations, models

import sessions.db.json_text

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
        'i|' || nullif(data -> 'origin' ->> 'address', ''),
        't|' || nullif(data ->> 'root', '')
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


def replace(apps, schema_editor):
    """Have lines that are added from now on indexed by their root as well."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION)


class AddIndexOnSqlite(migrations.AddIndex):
    """Make an index that PostgreSQL has no use for."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [
        ('chains', '0029_events_by_terms'),
    ]

    operations = [
        # Going back, the function may stay: what it adds is found by nothing.
        migrations.RunPython(replace, migrations.RunPython.noop),
        AddIndexOnSqlite(
            model_name='event',
            index=models.Index(sessions.db.json_text.JsonText('data', 'root'), models.OrderBy(models.F('seq'), descending=True), condition=models.Q(('kind', 'credential.minted')), name='event_root'),
        ),
    ]
