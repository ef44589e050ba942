from django.db import migrations


class AddIndexOnline(migrations.AddIndex):
    """Builds the index beside running writers on PostgreSQL; a run that was cut off begins it again.

    A partitioned table's is built with its writers waiting: PostgreSQL cannot do otherwise.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            return super().database_forwards(app_label, schema_editor, from_state, to_state)
        model = to_state.apps.get_model(app_label, self.model_name)
        table = model._meta.db_table
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [table])
            online = cursor.fetchone() != ("p",)
        schema_editor.execute(f'DROP INDEX {"CONCURRENTLY" if online else ""} IF EXISTS "{self.index.name}"')
        schema_editor.add_index(model, self.index, concurrently=online)
