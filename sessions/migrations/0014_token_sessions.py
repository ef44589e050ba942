from django.db import migrations, models


def bind_to_several(apps, schema_editor):
    """What a token was bound to it stays bound to."""
    Token = apps.get_model("chains", "Token")
    bound = Token.objects.exclude(session=None)
    Token.sessions.through.objects.bulk_create(
        [
            Token.sessions.through(token_id=token, awssession_id=session)
            for token, session in bound.values_list("pk", "session_id")
        ],
        batch_size=500,
    )
    bound.update(is_bound=True)


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0013_sts_region'),
    ]

    operations = [
        migrations.AddField(
            model_name='token',
            name='is_bound',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='token',
            name='sessions',
            field=models.ManyToManyField(related_name='+', to='chains.awssession'),
        ),
        migrations.RunPython(bind_to_several, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='token',
            name='session',
        ),
    ]
