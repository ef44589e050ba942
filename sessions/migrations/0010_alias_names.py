from django.db import migrations
from django.utils import timezone


def have_names_follow(apps, schema_editor):
    """An alias with letters of another script now comes out readable in a role session name: what is started moves to it."""
    get = apps.get_model
    teams = {*get('chains', 'AssumerLink').objects.filter(role_session_name__contains='{alias}').values_list('session__team', flat=True).distinct()}
    teams |= {*get('chains', 'TeamPolicy').objects.filter(role_session_name__contains='{alias}').values_list('team', flat=True)}
    for team in teams:
        started = get('chains', 'Activation').objects.filter(session__team=team).count()
        if started:
            get('chains', 'Move').objects.create(team_id=team, of=started, created_at=timezone.now())


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0009_profile_names'),
    ]

    operations = [
        migrations.RunPython(have_names_follow, migrations.RunPython.noop),
    ]
