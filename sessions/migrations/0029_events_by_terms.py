"""Take away from PostgreSQL what its index of terms has as well.

The models go on naming these indexes: SQLite has them.
"""

from django.db import migrations

INDEXES = (
    "event_key",
    "event_parent_key",
    "event_name",
    "event_source_identity",
    "event_address",
)


def remove(apps, schema_editor):
    """Drop them beside running readers and writers."""
    if schema_editor.connection.vendor == "postgresql":
        for name in INDEXES:
            schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')


def restore(apps, schema_editor):
    """Make them again beside running writers."""
    if schema_editor.connection.vendor == "postgresql":
        event = apps.get_model("chains", "Event")
        for index in event._meta.indexes:
            if index.name in INDEXES:
                schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{index.name}"')
                schema_editor.add_index(event, index, concurrently=True)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('chains', '0028_names'),
    ]

    operations = [migrations.RunPython(remove, restore)]
