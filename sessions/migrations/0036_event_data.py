"""Store issued credentials without what they repeat, and index them as before.

Lines of before stay as they are: both forms are read.
"""

from django.db import migrations

import sessions.db.event_json

FUNCTION = """
CREATE OR REPLACE FUNCTION chains_event_terms(
    team text, seq bigint, kind text, actor text, session text, alias text, data jsonb
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
DECLARE
    place text := team || '|' || (seq / 32768)::text || '|';
    terms text[];
BEGIN
    IF data ? 'K' THEN
        -- As sessions/db/event_json.py stores an issued credential.
        data := data || jsonb_build_object(
            'role_arn', data -> 'R', 'role_session_name', data -> 'N',
            'source_identity', data -> 'S', 'access_key_id', data -> 'K',
            'parent_access_key_id', data -> 'P', 'root', data -> 'O'
        );
    END IF;
    terms := ARRAY[
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
    """Have the index of terms read both forms; of what it has, nothing changes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION)


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0035_tombstones'),
    ]

    operations = [
        # Going back, the function may stay: it reads what was stored before, too.
        migrations.RunPython(replace, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='event',
                    name='data',
                    field=sessions.db.event_json.EventJson(default=dict),
                ),
            ],
        ),
    ]
