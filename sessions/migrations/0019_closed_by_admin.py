import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0018_role_index'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClosedByAdmin',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(max_length=128)),
                ('right', models.CharField(choices=[('start', 'start it and take its credentials'), ('assume', 'assume further roles from it')], max_length=10)),
                ('groups', models.ManyToManyField(related_name='+', to='chains.teamgroup')),
                ('members', models.ManyToManyField(related_name='+', to='chains.membership')),
                ('session', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='chains.awssession')),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='chains.team')),
            ],
            options={
                'indexes': [models.Index(fields=['team', 'role'], name='closed_by_role')],
                'constraints': [models.UniqueConstraint(fields=('session', 'role', 'right'), name='one_closing_per_right')],
            },
        ),
    ]
