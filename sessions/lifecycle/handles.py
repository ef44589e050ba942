"""Whether a handle would be mistaken for what some session already says of somebody else in CloudTrail."""

import re
from collections.abc import Iterator

from django.db.models import Q

from sessions.aws.names import InvalidName, names_a_person, render_role_session_name
from sessions.lifecycle.naming import template_of
from sessions.models import AssumerLink, AwsName, Membership, TeamPolicy

_HANDLE = "{username}"


def comes_out_elsewhere(handle: str, person_id: int | None = None) -> bool:
    """Whether with that handle one person would go by another's name: in whatever team, by a fixed name or by a template
    that makes one handle into another. Letters in another case are the same. `person_id`: whose handle it would be.

    A name that had to be shortened is longer than any handle, so only whole ones matter here.
    """
    others = AwsName.objects.exclude(person_id=person_id) if person_id else AwsName.objects.all()
    taken: set[str] | None = None
    for template, alias, team_id, slug in _templates(handle):
        values = {"alias": alias, "team": slug}
        try:
            if not names_a_person(template):
                if render_role_session_name(template, values).lower() == handle.lower():
                    return True
                continue
            whose = _whose(template, values, handle)
            people = Membership.objects.filter(team_id=team_id)
            people = people.exclude(user_id=person_id) if person_id else people
            if whose and people.filter(user__aws_name__iexact=whose).exists():
                return True
            taken = set(others.values_list("key", flat=True)) if taken is None else taken
            if render_role_session_name(template, {**values, "username": handle}).lower() in taken:
                return True
        except InvalidName:
            continue  # a template of before its rules, which is never sent
    return False


def _templates(handle: str) -> Iterator[tuple[str, str, str, str]]:
    """(template, alias, team's id, its short name) of every link in the installation that may matter to that handle."""
    policies = {policy.pk: policy for policy in TeamPolicy.objects.all()}
    # Where the policy may overrule a link, its own words say nothing.
    overruled = [
        policy.pk
        for policy in policies.values()
        if policy.role_session_name != _HANDLE and (policy.names_locked or policy.username_demanded)
    ]
    links = AssumerLink.objects.select_related("session__team").filter(
        Q(session__team__in=overruled)
        | ~Q(role_session_name=_HANDLE)
        & (Q(role_session_name__iexact=handle) | Q(role_session_name__contains="{"))
    )
    for link in links.iterator(chunk_size=1000):
        team = link.session.team
        template = template_of(link, policies.get(team.pk) or TeamPolicy(team_id=team.pk))
        if template != _HANDLE:
            yield template, link.session.alias, str(team.pk), team.slug


def _whose(template: str, values: dict[str, str], handle: str) -> str:
    """The handle that this template would make into that one; empty if there is none."""
    stand_in = "00"
    while stand_in in template + "".join(values.values()) + handle:
        stand_in += "0"
    rendered = render_role_session_name(template, {**values, "username": stand_in})
    pattern = re.escape(rendered).replace(stand_in, "(.+)", 1).replace(stand_in, r"\1")
    found = re.fullmatch(pattern, handle, re.IGNORECASE)
    return found[1] if found else ""
