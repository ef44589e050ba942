from django.db import migrations
from django.db.models import Q

from sessions.aws.arn import role_key

AT_ONCE = 500


def keep_what_is_closed(apps, schema_editor):
    """What is closed today stays closed until an admin opens it, except where a member alone has closed a session of their own."""
    sessions = apps.get_model('chains', 'AwsSession').objects
    closed = sessions.filter(kind='iam-role-chained').filter(Q(open_to_start=False) | Q(open_to_assume=False))
    ids = list(closed.order_by('pk').values_list('pk', flat=True))
    for at in range(0, len(ids), AT_ONCE):
        some = list(sessions.filter(pk__in=ids[at : at + AT_ONCE]).select_related('link', 'created_by'))
        own = _closed_by_their_creators(apps, some)
        _keep(apps, [each for each in some if each.pk not in own])


def _closed_by_their_creators(apps, some):
    lines = apps.get_model('chains', 'Event').objects.filter(session_id__in=[str(each.pk) for each in some])
    # A session that began closed, or got a closed role, was closed like others, in the same moment: not by its creator.
    saved = set(lines.filter(kind__in=['session.created', 'session.edited']).values_list('session_id', 'at'))
    by = {}
    for session_id, actor, at in lines.filter(kind='session.access').values_list('session_id', 'actor', 'at'):
        by.setdefault(session_id, set()).add('' if (session_id, at) in saved else actor)
    members = apps.get_model('chains', 'Membership').objects.filter(role='member', team__in={each.team_id for each in some})
    in_teams = set(members.values_list('team', 'user'))
    return {
        each.pk
        for each in some
        if each.created_by and (each.team_id, each.created_by_id) in in_teams and by.get(str(each.pk)) == {each.created_by.username}
    }


def _keep(apps, some):
    closings = apps.get_model('chains', 'ClosedByAdmin')
    kept = closings.objects.bulk_create(
        closings(team_id=each.team_id, role=role_key(each.link.role_arn), right=right, session=each)
        for each in some
        for right, is_open in (('start', each.open_to_start), ('assume', each.open_to_assume))
        if not is_open
    )
    by_right = {(each.session_id, each.right): each for each in kept}
    members, groups = closings.members.through, closings.groups.through
    named = [
        (by_right[grant.session_id, grant.right], grant)
        for grant in apps.get_model('chains', 'SessionGrant').objects.filter(session__in=some)
        if (grant.session_id, grant.right) in by_right
    ]
    members.objects.bulk_create(members(closedbyadmin=each, membership_id=grant.member_id) for each, grant in named if grant.member_id)
    groups.objects.bulk_create(groups(closedbyadmin=each, teamgroup_id=grant.group_id) for each, grant in named if grant.group_id)


class Migration(migrations.Migration):

    dependencies = [
        ('chains', '0019_closed_by_admin'),
    ]

    operations = [
        migrations.RunPython(keep_what_is_closed, migrations.RunPython.noop),
    ]
