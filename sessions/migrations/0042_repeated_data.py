"""Store what many lines of a team say alike once a month, on PostgreSQL, and index them as before.

Lines of before stay as they are: both forms are read. Writers wait while the small index of sessions
is made, about a second for a million lines.
"""

from django.db import migrations, models

import sessions.db.compact_fields

# With the name of its schema: an index is also remade where no search path is set.
FUNCTION = """
CREATE OR REPLACE FUNCTION chains_event_terms(
    team text, seq bigint, kind text, actor text, session text, alias text, data jsonb
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
DECLARE
    place text := team || '|' || (seq / 32768)::text || '|';
    is_issue boolean := jsonb_typeof(data) = 'string';
    own text := CASE WHEN is_issue THEN data #>> '{}' END;
    reference text := CASE WHEN is_issue THEN substr(own, 1, 8) ELSE data ->> '=' END;
    common jsonb;
    terms text[];
BEGIN
    -- As sessions/db/short_lines.py stores an issued credential, and a delivery.
    IF reference IS NOT NULL THEN
        SELECT part.data INTO common FROM {schema}.chains_repeateddata part
            WHERE part.id = ('x' || encode(decode(reference, 'base64'), 'hex'))::bit(48)::bigint;
        IF common IS NULL THEN
            RAISE EXCEPTION 'a line of the ledger refers to data that is not stored';
        END IF;
    END IF;
    IF is_issue THEN
        -- By itself, and not as below, because it takes half the time.
        terms := ARRAY[
            'w|' || nullif(actor, ''),
            'k|' || kind,
            'k|' || split_part(kind, '.', 1),
            's|' || nullif(session, ''),
            's|' || nullif(alias, ''),
            'a|' || nullif(split_part(common ->> 'R', ':', 5), ''),
            'r|' || nullif(common ->> 'R', ''),
            'r|' || nullif(reverse(split_part(reverse(common ->> 'R'), '/', 1)), ''),
            'n|' || nullif(common ->> 'N', ''),
            'n|' || nullif(common ->> 'S', ''),
            't|' || nullif(common ->> 'O', ''),
            CASE substr(own, 9, 1)
                WHEN 's' THEN 'y|ASIA' || substr(own, 10, 16)
                WHEN 'k' THEN 'y|AKIA' || substr(own, 10, 16)
            END,
            CASE substr(own, 26, 1)
                WHEN 's' THEN 'p|ASIA' || substr(own, 27, 16)
                WHEN 'k' THEN 'p|AKIA' || substr(own, 27, 16)
            END
        ];
        IF jsonb_typeof(common -> 'for') = 'array' THEN
            terms := terms || ARRAY(SELECT 'w|' || jsonb_array_elements_text(common -> 'for'));
        END IF;
        RETURN ARRAY(
            SELECT hashtextextended(place || term, 0)
            FROM unnest(terms) AS term WHERE term IS NOT NULL
        );
    END IF;
    IF reference IS NOT NULL THEN
        data := common || data;
    END IF;
    IF data ? 'K' THEN
        -- As sessions/db/letters.py stores an issued credential.
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
# Of what was issued and delivered, nearly all lines, the index of terms has the session as well.
BY_SESSION = """
CREATE INDEX event_by_session ON chains_event (session_id, seq)
WHERE kind <> 'credential.minted' AND kind <> 'credential.revealed'
"""


def prepare(apps, schema_editor):
    """Have the index of terms read all forms, and the index of sessions hold the fewer lines."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        (schema,) = cursor.fetchone()
        cursor.execute(FUNCTION.replace("{schema}", schema))
        cursor.execute("DROP INDEX IF EXISTS event_by_session")
        cursor.execute(BY_SESSION)


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0041_labels'),
    ]

    operations = [
        migrations.CreateModel(
            name='RepeatedData',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('month', models.DateField()),
                ('team_id', sessions.db.compact_fields.UuidText(max_length=36)),
                ('data', models.JSONField()),
            ],
        ),
        # Going back, both may stay: nothing is written in these forms any more, what was is read.
        migrations.RunPython(prepare, migrations.RunPython.noop),
    ]
