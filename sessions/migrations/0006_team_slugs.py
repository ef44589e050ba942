from collections import defaultdict

import django.db.models.functions.text
from django.core.management.base import CommandError
from django.db import migrations, models


def refuse_lookalikes(apps, schema_editor):
    """Stop before the constraint would, and say how to go on: which of two teams keeps its address is for the operator."""
    by_key = defaultdict(list)
    for slug in apps.get_model("chains", "Team").objects.order_by("created_at").values_list("slug", flat=True):
        by_key[slug.lower()].append(slug)
    for first, *others in by_key.values():
        for slug in others:
            raise CommandError(
                f"Teams {first!r} and {slug!r} differ in case alone, which is no longer allowed. Nothing was changed. "
                f"Give one another short name, then migrate again:\n"
                f"  python manage.py shell -c \"from sessions.models import Team; "
                f"Team.objects.filter(slug={slug!r}).update(slug={slug.lower() + '-2'!r})\"\n"
                "OIDC_GROUPS and SAML_GROUPS name teams by their short names: change them there as well."
            )


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0005_room_for_claims'),
    ]

    operations = [
        migrations.RunPython(refuse_lookalikes, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='team',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('slug'), name='team_slug_is_unique_in_any_case'),
        ),
    ]
