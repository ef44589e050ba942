from django.db import migrations, models
from django.db.models import Count

# Of every other region an account may not have: https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
EVERYBODYS = {
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1", "eusc-de-east-1"),
    *("us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1"),
}


def stay_where_it_works(apps, schema_editor):
    """A hop was called at its session's region. Where a root's own region is one that accounts have to enable, and no call
    has succeeded there, its chains stay at the region where most of them have."""
    roots = apps.get_model("chains", "AwsSession").objects.exclude(kind="iam-role-chained").exclude(region__in=EVERYBODYS)
    homes = dict(roots.values_list("pk", "region"))
    minted = apps.get_model("chains", "Credential").objects.filter(level__gt=0, minted_at__isnull=False, root__in=homes)
    used = {}
    for root_id, region, _ in minted.values_list("root", "region").annotate(times=Count("pk")).order_by("-times", "region"):
        used.setdefault(root_id, []).append(region)
    for root_id, regions in used.items():
        if homes[root_id] not in regions:
            roots.filter(pk=root_id).update(sts_region=regions[0])


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0012_shown_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='awssession',
            name='sts_region',
            field=models.CharField(blank=True, default='', max_length=32, verbose_name="where a root's chains call STS, if not at its region"),
            preserve_default=False,
        ),
        migrations.RunPython(stay_where_it_works, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField(
            model_name='credential',
            name='region',
        ),
    ]
