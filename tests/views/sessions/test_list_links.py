"""The session list leads whoever may create sessions to the import."""

import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db


def test_the_list_leads_to_the_import(house):
    url = reverse("session_list", args=[house.team.slug])
    page = house.browser(house.ben).get(url)
    assert page.status_code == 200
    assert reverse("import", args=[house.team.slug]) in page.content.decode()
    auditors = house.browser(house.eve).get(url).content.decode()
    assert reverse("import", args=[house.team.slug]) not in auditors
