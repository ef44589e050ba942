"""Hostile text in aliases, role paths, AWS's messages and the browser's name stays text."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=/x onerror=alert(1)>',
    "' onmouseover='alert(1)' autofocus onfocus='alert(1)",
    "</title><svg onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "{{ 7*7 }}{% debug %}${7*7}",
    "<a hx-get=/x hx-trigger=load href=javascript:alert(1)>x</a>",
    "</option></select><style>*{display:none}</style>",
    "--><!--<meta http-equiv=refresh content=0;url=//x>",
]


@pytest.fixture
def infested(house, sts):
    """One session per payload, each active or failed with the payload as AWS's message too."""
    sessions = []
    for number, payload in enumerate(PAYLOADS):
        path = payload.replace(" ", "/")
        arn = f"arn:aws:iam::111122223333:role/{path}/Name"
        sts.add_role(arn, trusts=["*"])
        session = house.chained(
            payload, sessions[0] if number == 1 else None, arn=arn, profile=f"p{number}"
        )
        sessions.append(session)
        if number % 2:
            sts.fail_next("AccessDenied", message=f"Not {payload}", times=5)
        house.start(session)
        house.work()
        sts.reset()
    return sessions


def test_hostile_text_stays_text_on_every_page(house, infested, tabs):
    page = tabs.open(house.ada, user_agent=PAYLOADS[1])
    house.start(infested[0], house.ada)
    house.work()
    page.goto(reverse("session_list", args=[house.team.slug]))
    for session in infested:
        expect(page.get_by_role("link", name=session.alias, exact=True)).to_be_visible()
    for name in ("edit_session", "delete_session"):
        page.goto(reverse(name, args=[infested[0].pk]))
        expect(page.get_by_role("heading", level=1)).to_contain_text(infested[0].alias)
    for session in infested:
        page.goto(reverse("session", args=[session.pk]))
        expect(page.get_by_role("heading", level=1)).to_have_text(session.alias)
    form = reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
    page.goto(f"{form}?assumer={infested[0].pk}")
    page.get_by_label("Session alias").fill(PAYLOADS[1])
    page.get_by_label("Role ARN").fill(f"arn:aws:iam::111122223333:role/{PAYLOADS[0]}/Name")
    expect(page.locator("#preview")).to_contain_text(PAYLOADS[1])
    tabs.expected.append("status of 422")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_label("Session alias")).to_have_value(PAYLOADS[1])
    page.goto(
        reverse("session_list", args=[house.team.slug]) + "?q=%3Cscript%3Ealert(1)%3C/script%3Ezz"
    )
    expect(page.get_by_text("<script>alert(1)</script>zz")).to_be_visible()


def test_what_aws_says_in_a_refusal_stays_text(house, infested, tabs):
    page = tabs.open(house.ben)
    for session in infested[1::2]:
        page.goto(reverse("session", args=[session.pk]))
        expect(page.locator(".problem__message").first).to_have_text(f"Not {session.alias}")
