from django.db import migrations, models
from django.db.models import Q


def rename(apps, schema_editor):
    """"=" and "," are in no profile's name that the AWS SDKs read: they become "_", and meet no other profile by that."""
    sessions = apps.get_model('chains', 'AwsSession').objects
    for session in sessions.filter(Q(profile__contains='=') | Q(profile__contains=',')).only('profile', 'team_id').iterator():
        name = session.profile.replace('=', '_').replace(',', '_')
        number, free = 1, name
        while sessions.filter(team_id=session.team_id, profile=free).exclude(pk=session.pk).exists():
            number += 1
            free = f'{name}_{number}'
        sessions.filter(pk=session.pk).update(profile=free)


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0008_moves'),
    ]

    operations = [
        migrations.AlterField(
            model_name='awssession',
            name='profile',
            field=models.CharField(max_length=128, verbose_name='named profile'),
        ),
        migrations.RunPython(rename, migrations.RunPython.noop),
    ]
