"""Keep help under fields short; what is longer opens at a "?"."""

import re

import pytest
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.catalog.team_view import view_of_sessions
from sessions.forms import people, team_policy, tokens
from sessions.forms.sessions import form_for
from sessions.models import CHAINED

pytestmark = pytest.mark.django_db
MOST_WORDS = 8


def every_form(house):
    view = view_of_sessions(Actor(house.ada), None)
    yield from (form_for(kind, None, view=view) for kind in (CHAINED, *ROOT_KINDS))
    yield form_for(house.root.kind, None, view=view, session=house.root)
    yield team_policy.TeamPolicyForm(None, actor=Actor(house.ada), policy=view.policy)
    yield from (people.EmailForm(), people.InviteForm(), people.JoinForm(), people.AwsNameForm())
    yield from (people.GroupForm(team=house.team), tokens.TokenForm(actor=Actor(house.ada)))
    yield people.AccessForm(team=house.team, session=house.chained("Leaf"))


def test_help_under_a_field_has_at_most_eight_words(house):
    helps = {
        (type(form).__name__, name): field.help_text
        for form in every_form(house)
        for name, field in form.fields.items()
    }
    assert len(helps) > 20
    long = {
        where: text
        for where, text in helps.items()
        if len(re.findall(r"\S*\w\S*", str(text))) > MOST_WORDS
    }
    assert not long


def test_longer_help_opens_at_a_question_mark(house):
    url = reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
    page = house.browser().get(url).content.decode()
    field = page.partition('id="id_profile_helptext"')[2].partition("</details>")[0]
    assert "Only one session per profile can be active." in field
    assert 'title="More about Named profile"' in field
    assert "for use with --profile" in field
