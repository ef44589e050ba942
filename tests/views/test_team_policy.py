"""The policy's page, the form's Advanced part and the previews, without a screen."""

import re
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from sessions.forms.fields import JsonField
from sessions.ledger.events.sessions import PolicyChanged, SessionCreated
from sessions.models import AwsSession, SourceIdentity, TeamPolicy
from tests.chains.policies import OFFICE, set_policy
from tests.house import TeamFixture
from tests.views.page_forms import form_fields, form_url

pytestmark = pytest.mark.django_db

POLICY = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
)


def policy_url(house, name="team_policy"):
    return reverse(name, args=[house.team.slug])


def policy_fields(**changes):
    return {
        "role_session_name": "{username}",
        "source_identity": "off",
        "tags": "",
        "networks": "",
        "activation_hours": "12",
        "token_days": "90",
        "scoping": "off",
        "snippet_minutes": "60",
        **changes,
    }


def arns(page):
    return re.findall(r"arn:aws:sts::\d+:assumed-role/[^\s<]+", page.content.decode())


def test_an_admin_changes_the_policy_and_it_is_in_the_ledger(house):
    fields = policy_fields(
        role_session_name="{team}.{username}",
        names_locked="on",
        username_demanded="on",
        source_identity="where-possible",
        tags="stage = test, live\r\n\r\n ticket ",
        networks=f"{OFFICE}\r\nvpc-0a1b2c3d",
    )
    answer = house.browser(house.ada).post(policy_url(house), fields)
    assert answer.status_code == 302
    policy = TeamPolicy.of(house.team.pk)
    assert (policy.role_session_name, policy.names_locked, policy.username_demanded) == (
        "{team}.{username}",
        True,
        True,
    )
    assert policy.source_identity == SourceIdentity.WHERE_POSSIBLE
    assert policy.allowed_tags == {"stage": ["test", "live"], "ticket": []}
    assert policy.networks == [OFFICE, "vpc-0a1b2c3d"]
    assert house.events(PolicyChanged)[-1].actor == "ada"
    page = house.browser(house.ada).get(policy_url(house)).content.decode()
    assert "stage = test, live\nticket" in page


def test_an_admin_sets_the_hours_of_what_is_started_from_now_on(house):
    earlier, later = house.chain(2)
    before = house.start(earlier).ends_at
    answer = house.browser(house.ada).post(policy_url(house), policy_fields(activation_hours="3"))
    assert answer.status_code == 302
    data = house.events(PolicyChanged)[-1].data
    assert data == {
        "before": {"activation_hours": 12},
        "after": {"activation_hours": 3},
        "origin": {"address": "127.0.0.1"},
    }
    assert house.state(earlier).ends_at == before
    started = house.start(later)
    assert started.ends_at - started.started_at == timedelta(hours=3)
    assert (
        "Renew for 3 h" in house.browser().get(reverse("session", args=[later.pk])).content.decode()
    )
    assert (
        house.browser().post(policy_url(house), policy_fields(activation_hours="9")).status_code
        == 403
    )
    refused = house.browser(house.ada).post(
        policy_url(house), policy_fields(activation_hours="169")
    )
    assert "Whole hours, 1 to 168." in refused.content.decode()
    house.team.refresh_from_db()
    assert house.team.activation_hours == 3


def test_an_auditor_reads_the_policy_and_a_member_sees_no_link_to_it(house):
    page = house.browser(house.eve).get(policy_url(house))
    assert page.status_code == 200
    assert b"Save policy" not in page.content
    assert b"Only admins" in page.content
    assert house.browser(house.eve).post(policy_url(house), policy_fields()).status_code == 403
    assert house.browser(house.ben).get(policy_url(house)).status_code == 403
    home = house.browser(house.ben).get("/", follow=True).content.decode()
    assert policy_url(house) not in home
    assert policy_url(house) in house.browser(house.eve).get("/", follow=True).content.decode()
    assert not TeamPolicy.objects.exists()


def test_another_teams_policy_answers_like_a_missing_teams(house, sts):
    other = TeamFixture(sts, "other")
    ada = house.browser(house.ada)
    for name in ("team_policy", "preview_policy", "new_external_id"):
        for method in (ada.get, ada.post):
            answers = [method(reverse(name, args=[slug])) for slug in (other.team.slug, "nowhere")]
            assert answers[0].status_code == answers[1].status_code
            assert answers[0].status_code in (404, 405)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role_session_name", "{nobody}"),
        ("source_identity", "perhaps"),
        ("tags", "aws:x"),
        ("tags", "stage\nstage = x"),
        ("networks", "10.0.0.0/8"),
        ("networks", "office"),
        ("activation_hours", ""),
        ("activation_hours", "0"),
        ("activation_hours", "169"),
        ("activation_hours", "1.5"),
    ],
)
def test_a_wrong_policy_is_refused_on_its_field_and_keeps_what_was_typed(house, field, value):
    answer = house.browser(house.ada).post(policy_url(house), policy_fields(**{field: value}))
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert not TeamPolicy.objects.exists()


def test_a_policy_that_a_stored_session_stands_against_names_it(house):
    set_policy(house, tags={"stage": ()})
    house.chained("Tagged one", tags=(("stage", "live"),))
    answer = house.browser(house.ada).post(policy_url(house), policy_fields())
    assert answer.status_code == 422
    assert "“Tagged one” conflicts with it" in answer.content.decode()


def test_the_policy_preview_shows_the_draft_and_stores_nothing(house):
    leaf = house.chained("Leaf", house.chained("Hub"))
    draft = policy_fields(
        role_session_name="new.{username}", names_locked="on", source_identity="required"
    )
    chosen = {"session": str(leaf.pk), "as": str(house.bea.pk)}
    url = policy_url(house, "preview_policy")
    page = house.browser(house.ada).post(url, draft | chosen)
    assert [arn.rpartition("/")[2] for arn in arns(page)] == ["new.bea", "new.bea"]
    assert "source identity" in page.content.decode()
    assert not TeamPolicy.objects.exists()
    # An auditor sees the policy as it is, a member nothing.
    page = house.browser(house.eve).post(url, draft | chosen)
    assert [arn.rpartition("/")[2] for arn in arns(page)] == ["bea", "bea"]
    assert house.browser(house.ben).post(url, draft | chosen).status_code == 403
    wrong = house.browser(house.ada).post(url, draft | chosen | {"networks": "office"})
    assert arns(wrong) == []


def test_the_policy_page_lists_sessions_whose_names_identify_nobody(house):
    house.chained("Fixed name", name="automation")
    house.chained("Named", name="x-{username}")
    page = house.browser(house.eve).get(policy_url(house))
    assert [each.session.alias for each in page.context["unnamed"]] == ["Fixed name"]
    assert "automation" in page.content.decode()


# --- the form of a session ------------------------------------------------------------------------


def test_six_fields_come_first_and_the_others_behind_a_disclosure(house):
    page = house.browser().get(form_url(house)).content.decode()
    assert (
        page.index("Assumer session")
        < page.index('<details class="advanced"')
        < page.index("External ID")
    )
    assert re.search(r'<details class="advanced"\s*>', page)
    # Tags are shown where the team allows some.
    assert "Session tags" not in page
    set_policy(house, tags={"stage": ("test", "live"), "ticket": ()})
    page = house.browser().get(form_url(house)).content.decode()
    assert 'name="tags.stage"' in page
    assert '<option value="live">' in page


def test_advanced_opens_by_itself_for_a_value_and_for_an_error(house):
    leaf = house.chained("Leaf", external_id="partner-7", member=house.ben)
    page = house.browser().get(reverse("edit_session", args=[leaf.pk])).content.decode()
    assert re.search(r'<details class="advanced"\s+open>', page)
    answer = house.browser().post(form_url(house), form_fields(house, policy="{"))
    assert answer.status_code == 422
    assert re.search(r'<details class="advanced"\s+open>', answer.content.decode())
    assert "This is not JSON" in answer.content.decode()


def test_a_policy_nested_without_end_is_refused_on_its_field(house):
    answer = house.browser().post(form_url(house), form_fields(house, policy="[" * 5000))
    assert answer.status_code == 422
    assert "nested" in answer.content.decode()
    document: dict[str, object] = {}
    for _ in range(5000):
        document = {"Statement": document}
    with pytest.raises(ValidationError, match="nested"):
        JsonField(check=str).clean(document)


def test_everything_advanced_is_typed_stored_and_shown_again(house):
    set_policy(house, tags={"stage": ("test", "live"), "ticket": ()})
    fields = form_fields(
        house,
        external_id="partner-7",
        without_source_identity="on",
        policy=POLICY,
        policy_arns="arn:aws:iam::aws:policy/ReadOnlyAccess\r\n",
        networks=f" {OFFICE}\r\n203.0.113.9 ",
        transitive_tag_keys=["ticket"],
        **{"tags.stage": "live", "tags.ticket": " OPS-1 "},
    )
    assert house.browser().post(form_url(house), fields).status_code == 302
    link = AwsSession.objects.get(alias="Deploy").link
    assert link.tags == [["stage", "live"], ["ticket", "OPS-1"]]
    assert link.transitive_tag_keys == ["ticket"]
    assert link.policy == POLICY.replace(" ", "")
    assert link.policy_arns == ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    assert link.networks == [OFFICE, "203.0.113.9/32"]
    assert link.without_source_identity
    data = house.events(SessionCreated)[-1].data
    assert (data["tags"], data["networks"]) == (link.tags, link.networks)
    edit = house.browser().get(reverse("edit_session", args=[link.pk])).content.decode()
    for shown in (
        "partner-7",
        'value="OPS-1"',
        "&quot;Effect&quot;: &quot;Allow&quot;",
        "203.0.113.9/32",
    ):
        assert shown in edit
    # Saved as it is shown, nothing changes.
    house.browser().post(reverse("edit_session", args=[link.pk]), fields | {"alias": "Again"})
    again = AwsSession.objects.get(alias="Again").link
    assert (again.tags, again.policy, again.networks) == (link.tags, link.policy, link.networks)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"policy": "[]"}, "policy"),
        ({"policy_arns": "ReadOnlyAccess"}, "policy_arns"),
        ({"policy_arns": "arn:aws:iam::999999999999:policy/Read"}, "policy_arns"),
        ({"networks": "10.0.0.0/8"}, "networks"),
        ({"networks": "203.0.113.0/24\x0b"}, "networks"),
        ({"tags.stage": "prod"}, "tags"),
        ({"transitive_tag_keys": ["stage"]}, "transitive_tag_keys"),
        ({"transitive_tag_keys": ["other"]}, "transitive_tag_keys"),
        ({"external_id": "a b"}, "external_id"),
    ],
)
def test_a_wrong_advanced_field_says_so_and_saves_nothing(house, changes, field):
    set_policy(house, tags={"stage": ("test", "live")})
    sessions = AwsSession.objects.count()
    answer = house.browser().post(form_url(house), form_fields(house, **changes))
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert AwsSession.objects.count() == sessions


def test_generate_gives_another_128_random_bits_each_time(house):
    found = set()
    for _ in range(20):
        page = (
            house.browser()
            .post(reverse("new_external_id", args=[house.team.slug]))
            .content.decode()
        )
        [value] = re.findall(
            r'name="external_id"[^>]*value="([0-9a-f]{32})"|value="([0-9a-f]{32})"', page
        )
        found.add("".join(value))
    assert len(found) == 20
    assert (
        house.browser(house.eve)
        .post(reverse("new_external_id", args=[house.team.slug]))
        .status_code
        == 403
    )


def test_where_names_are_locked_the_form_says_so_and_takes_an_empty_one(house):
    set_policy(house, role_session_name="{team}.{username}", names_locked=True)
    page = house.browser().get(form_url(house)).content.decode()
    assert "Locked by the team&#x27;s policy" in page
    answer = house.browser().post(form_url(house), form_fields(house, role_session_name=""))
    assert answer.status_code == 302
    session = AwsSession.objects.get(alias="Deploy")
    shown = house.browser().get(reverse("session", args=[session.pk])).content.decode()
    assert "assumed-role/Deploy/platform.ben" in shown


def test_a_new_session_begins_with_the_teams_default_name(house):
    set_policy(house, role_session_name="{username}@{alias}")
    assert 'value="{username}@{alias}"' in house.browser().get(form_url(house)).content.decode()


def test_the_form_previews_every_hop_for_oneself_and_permitted_others(house):
    hub = house.chained("Hub", name="automation")
    fields = form_fields(house, assumer=str(hub.pk))
    url = reverse("preview_session", args=[house.team.slug])
    page = house.browser().post(url, fields)
    assert [arn.rpartition("/")[2] for arn in arns(page)] == ["automation", "ben"]
    assert "one shared credential" in page.content.decode()
    page = house.browser(house.ada).post(url, fields | {"as": str(house.bea.pk)})
    assert [arn.rpartition("/")[2] for arn in arns(page)] == ["automation", "bea"]
    assert house.browser().post(url, fields | {"as": str(house.bea.pk)}).status_code == 404
    assert house.browser(house.ada).post(url, fields | {"as": "999999"}).status_code == 404
    assert arns(house.browser().post(url, fields | {"role_arn": "arn:"})) == []


def test_the_session_page_shows_others_names_to_who_reads_the_ledger(house):
    leaf = house.chained("Leaf", house.chained("Hub"))
    url = reverse("session_names", args=[leaf.pk])
    page = house.browser(house.eve).get(url, {"as": str(house.bea.pk)})
    assert [arn.rpartition("/")[2] for arn in arns(page)] == ["bea", "bea"]
    assert house.browser().get(url).status_code == 200
    assert house.browser().get(url, {"as": str(house.bea.pk)}).status_code == 404
    assert (
        "Other people in CloudTrail"
        in house.browser(house.eve).get(reverse("session", args=[leaf.pk])).content.decode()
    )
    assert (
        "Other people in CloudTrail"
        not in house.browser().get(reverse("session", args=[leaf.pk])).content.decode()
    )


def test_the_session_page_shows_each_hops_words_and_policy_size(house, sts):
    set_policy(
        house, tags={"ticket": ()}, networks=(OFFICE,), source_identity=SourceIdentity.REQUIRED
    )
    hub = house.chained("Hub", tags=(("ticket", "OPS-1"),), transitive_tag_keys=("ticket",))
    leaf = house.chained("Leaf", hub, policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",))
    house.start(leaf)
    house.work()
    page = house.browser().get(reverse("session", args=[leaf.pk])).content.decode()
    for shown in (
        "ticket=OPS-1",
        "passed on",
        "policy/ReadOnlyAccess",
        OFFICE,
        "from here on",
        "Packed size",
    ):
        assert shown in page
    # The hop on the way is not bound, and says nothing of a network.
    assert page.count("Only from") == 1


def test_a_hop_whose_source_identity_was_left_out_says_so(house, sts):
    set_policy(house, source_identity=SourceIdentity.WHERE_POSSIBLE)
    leaf = house.chained("Leaf", arn=house.role_arn("Shut", actions=[]))
    house.start(leaf)
    house.work()
    page = house.browser().get(reverse("session", args=[leaf.pk])).content.decode()
    assert "this role accepts none" in page
    assert (
        "goes on without a source identity"
        in house.browser(house.ada).get(reverse("session", args=[leaf.pk])).content.decode()
    )
