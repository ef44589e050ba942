"""Find a page's form, and everything that a browser would send of it."""

from django.urls import reverse


def form_fields(house, **changes):
    return {
        "alias": "Deploy",
        "profile": "deploy",
        "region": "eu-west-1",
        "role_arn": house.role_arn("Deploy"),
        "role_session_name": "{username}",
        "assumer": str(house.root.pk),
        "external_id": "",
        **changes,
    }


def form_url(house, kind="iam-role-chained"):
    return reverse("new_session_form", args=[house.team.slug, "aws", kind])
