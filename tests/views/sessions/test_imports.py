"""The import's pages: files in, a preview, and all that is chosen or nothing."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F
from django.urls import reverse

from sessions.catalog import pending_imports
from sessions.ledger.events.sessions import SessionCreated
from sessions.models import AwsSession, PendingImport
from tests.api.test_imports import CHAIN, KEY, KEY_ID, ON_ROOT, SECRET

pytestmark = pytest.mark.django_db


def sent(house, browser, text="", *files):
    uploaded = [SimpleUploadedFile(name, content) for name, content in files]
    url = reverse("import", args=[house.team.slug])
    return browser.post(url, {"text": text, "files": uploaded})


def shown(house, browser, *args):
    answer = sent(house, browser, *args)
    assert answer.status_code == 302, answer.content
    return answer.url, browser.get(answer.url)


def test_what_is_sent_waits_sealed_for_its_preview(house):
    ada = house.browser(house.ada)
    _, page = shown(house, ada, CHAIN)
    [row] = PendingImport.objects.all()
    assert SECRET.encode() not in bytes(row.sealed)
    html = page.content.decode()
    assert SECRET not in html
    assert all(word in html for word in ("top", "mid", "base", KEY_ID, "3 new"))
    assert not AwsSession.objects.filter(alias="top").exists()


def test_a_confirmed_import_is_told_by_row(house):
    ada = house.browser(house.ada)
    url, _ = shown(house, ada, "", ("config", CHAIN.encode()))
    answer = ada.post(url, {"choose": ["0", "1", "2"]})
    assert answer.url == reverse("session_list", args=[house.team.slug])
    assert [event.session_alias for event in house.events(SessionCreated)][-3:] == [
        "base",
        "mid",
        "top",
    ]
    assert not PendingImport.objects.exists()
    assert ada.get(url).status_code == 404


def test_a_key_is_typed_in_its_own_field_and_not_shown_again(house):
    ada = house.browser(house.ada)
    url, page = shown(house, ada, CHAIN.replace(KEY, ""))
    assert 'name="secret.2"' in page.content.decode()
    typed = {"choose": ["0", "1", "2"], "id.2": "wrong", "secret.2": SECRET}
    refused = ada.post(url, typed)
    assert refused.status_code == 422
    assert "Nothing was imported" in refused.content.decode()
    assert SECRET not in refused.content.decode()
    assert ada.post(url, typed | {"id.2": KEY_ID}).status_code == 302
    assert AwsSession.objects.get(alias="base").sealed_secrets


def test_a_row_without_its_source_is_refused_whole(house):
    ada = house.browser(house.ada)
    url, _ = shown(house, ada, CHAIN)
    answer = ada.post(url, {"choose": ["0"]})
    assert answer.status_code == 422
    assert "choose that row, too" in answer.content.decode()


def test_a_session_of_the_team_can_stand_in_for_a_source(house):
    text = (
        "[profile dev]\ncredential_process = pass show x\n"
        "[profile top]\nrole_arn = arn:aws:iam::111122223333:role/Deploy\nsource_profile = dev\n"
        "region = eu-west-1\n"
    )
    ben = house.browser(house.ben)
    url, page = shown(house, ben, text)
    assert "Instead of “dev”" in page.content.decode()
    with_root = f"{url}?use.0={house.root.pk}"
    assert "Root key" in ben.get(with_root).content.decode()
    assert ben.post(with_root, {"choose": ["1"]}).status_code == 302
    assert AwsSession.objects.get(alias="top").link.assumer == house.root


def test_a_preview_is_its_uploaders_alone(house):
    url, _ = shown(house, house.browser(house.ada), CHAIN)
    assert house.browser(house.ben).get(url).status_code == 404


def test_a_preview_ends_after_a_quarter_of_an_hour(house):
    ada = house.browser(house.ada)
    url, _ = shown(house, ada, CHAIN)
    PendingImport.objects.update(expires_at=F("expires_at") - timedelta(minutes=16))
    assert ada.get(url).status_code == 302
    assert pending_imports.delete_overdue() == 1
    assert not PendingImport.objects.exists()


def test_what_is_discarded_is_gone(house):
    ada = house.browser(house.ada)
    url, _ = shown(house, ada, CHAIN)
    ada.post(url, {"discard": "1"})
    assert not PendingImport.objects.exists()


def test_whoever_makes_roots_confirms_who_they_are(house):
    url = sent(house, house.browser(house.ada), CHAIN).url
    later = house.browser(house.ada, minutes_ago=6)
    assert "reauthenticate" in later.get(url).url
    assert "reauthenticate" in later.post(url, {"choose": ["2"]}).url
    assert not AwsSession.objects.filter(alias="base").exists()


def test_a_chain_of_ones_own_asks_for_no_confirmation(house):
    url = sent(house, house.browser(house.ben), ON_ROOT).url
    assert house.browser(house.ben, minutes_ago=60).get(url).status_code == 200


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "Paste a file"),
        ([("config", b"x" * (1024 * 1024 + 1))], "larger than 1 MB"),
        ([("config", b"[a]\n\xff\xfe")], "config, line 2: this is no UTF-8 text"),
    ],
)
def test_what_cannot_be_taken_is_said_on_the_page(house, files, said):
    answer = sent(house, house.browser(house.ada), "", *files)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not PendingImport.objects.exists()


def test_several_files_are_read_as_one(house):
    config = CHAIN.replace(KEY, "").encode()
    _, page = shown(
        house,
        house.browser(house.ada),
        "",
        ("config", config),
        ("credentials", f"[base]\n{KEY}".encode()),
    )
    assert KEY_ID in page.content.decode()
    assert 'name="secret' not in page.content.decode()


def test_uploaded_files_stay_in_memory(house, monkeypatch):
    from django.core.files import uploadedfile

    monkeypatch.setattr(uploadedfile.tempfile, "NamedTemporaryFile", None)
    assert (
        sent(house, house.browser(house.ada), "", ("credentials", KEY.encode())).status_code == 302
    )


def test_hostile_names_are_text_on_the_page(house):
    text = CHAIN.replace("top", "<script>alert(1)</script>")
    _, page = shown(house, house.browser(house.ada), text)
    assert "<script>alert" not in page.content.decode()


def test_an_export_is_a_download_without_secrets(house):
    ada = house.browser(house.ada)
    url, _ = shown(house, ada, CHAIN)
    ada.post(url, {"choose": ["0", "1", "2"]})
    for form in ("aws-config", "granted-registry", "leapp", "aws-sso", "aesr"):
        answer = ada.get(reverse("export_sessions", args=[house.team.slug, form]))
        assert answer.status_code == 200, form
        assert "attachment" in answer.headers["Content-Disposition"]
        text = answer.content.decode()
        assert SECRET not in text
        assert KEY_ID not in text
    assert ada.get(reverse("export_sessions", args=[house.team.slug, "x"])).status_code == 404
