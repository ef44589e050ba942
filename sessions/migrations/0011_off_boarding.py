import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.utils import timezone


def take_groups_for_read(apps, schema_editor):
    """Whom groups have let in gets a whole period to log in again: an upgrade locks nobody out."""
    apps.get_model("chains", "Membership").objects.filter(from_sso=True).update(groups_read_at=timezone.now())


def remember_removals(apps, schema_editor):
    """Have the removals by admins that the ledger knows last from now on."""
    Membership, Removal, User = (apps.get_model("chains", name) for name in ("Membership", "Removal", "User"))
    teams = {str(pk): pk for pk in apps.get_model("chains", "Team").objects.values_list("pk", flat=True)}
    lines = apps.get_model("chains", "Event").objects.filter(kind="member.removed").order_by("pk")
    last = {
        (line["team_id"], line["data"].get("person_id")): line
        for line in lines.values("team_id", "actor", "at", "data").iterator()
    }
    members = {(str(team), user) for team, user in Membership.objects.values_list("team", "user")}
    people = set(User.objects.values_list("pk", flat=True))
    identities = {}
    for user, *identity in apps.get_model("socialaccount", "SocialAccount").objects.values_list("user", "provider", "uid"):
        identities.setdefault(user, []).append(identity)
    Removal.objects.bulk_create(
        Removal(team_id=teams[team], user_id=user, by=line["actor"], at=line["at"], provider=provider, uid=uid)
        for (team, user), line in last.items()
        if line["actor"] != "sso" and team in teams and user in people and (team, user) not in members
        for provider, uid in [("", ""), *identities.get(user, [])]
    )


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0010_alias_names'),
        ('socialaccount', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='membership',
            name='groups_read_at',
            field=models.DateTimeField(null=True, verbose_name='when the groups were last read'),
        ),
        migrations.AddField(
            model_name='user',
            name='log_ins_ended',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.CreateModel(
            name='Removal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(blank=True, max_length=200)),
                ('uid', models.CharField(blank=True, max_length=191)),
                ('by', models.CharField(max_length=150)),
                ('at', models.DateTimeField()),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='removals', to='chains.team')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='removals', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['team', 'provider', 'uid'], name='removal_of_identity')],
                'constraints': [models.UniqueConstraint(fields=('team', 'user', 'provider', 'uid'), name='one_removal_of_an_identity')],
            },
        ),
        migrations.RunPython(take_groups_for_read, migrations.RunPython.noop),
        migrations.RunPython(remember_removals, migrations.RunPython.noop),
    ]
