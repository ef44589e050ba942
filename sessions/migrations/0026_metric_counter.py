from django.db import migrations


class Migration(migrations.Migration):
    """Rename a model and not its table: web and workers of both versions count into it."""

    dependencies = [
        ("chains", "0025_event_terms"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel(old_name="Tally", new_name="MetricCounter"),
                migrations.AlterModelTable(name="metriccounter", table="chains_tally"),
            ],
        ),
    ]
