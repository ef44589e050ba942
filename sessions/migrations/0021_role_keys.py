from django.db import migrations, models

from sessions.db.lookups import RoleKey
from sessions.migrations._online import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('chains', '0020_closed_until_now'),
    ]

    operations = [
        AddIndexOnline(
            model_name='assumerlink',
            index=models.Index(RoleKey('role_arn'), name='link_by_role_key'),
        ),
        AddIndexOnline(
            model_name='awssession',
            index=models.Index(condition=models.Q(('kind', 'iam-role-chained'), _negated=True), fields=['team'], name='session_root'),
        ),
        migrations.RemoveIndex(
            model_name='assumerlink',
            name='link_by_role',
        ),
    ]
