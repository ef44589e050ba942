from django.db import migrations, models

from sessions.migrations._online import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("chains", "0039_deliveries")]

    operations = [
        AddIndexOnline(
            model_name="credential",
            index=models.Index(fields=["parent"], name="credential_scoped", condition=models.Q(is_scoped=True)),
        ),
    ]
