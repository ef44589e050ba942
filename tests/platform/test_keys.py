"""Keys are made once, rotated, and dropped; what was signed can be verified for ever."""

import pytest
from django.core.management import CommandError, call_command

from sessions.checks import keys_are_usable, ledger_is_signed
from sessions.ledger.checkpoints import key_problem
from sessions.sealing import parse_keys


@pytest.fixture
def folder(tmp_path):
    call_command("keys", tmp_path / "keys", verbosity=0)
    return tmp_path / "keys"


def ids(folder, name):
    return list(parse_keys((folder / name).read_text(), name))


def problem(folder):
    return key_problem(
        *((folder / f"checkpoint_{each}").read_text() for each in ("key", "public_key"))
    )


def test_the_checkpoint_key_is_made_with_its_public_half(folder):
    assert ids(folder, "checkpoint_key") == ids(folder, "checkpoint_public_key")
    assert problem(folder) == ""
    before = (folder / "checkpoint_key").read_text()
    call_command("keys", folder, verbosity=0)
    assert (folder / "checkpoint_key").read_text() == before


def test_a_new_checkpoint_key_comes_first_and_every_public_half_stays(folder):
    [first] = ids(folder, "checkpoint_key")
    call_command("keys", folder, "--new", verbosity=0)
    newer, old = ids(folder, "checkpoint_key")
    assert old == first
    assert ids(folder, "checkpoint_public_key") == [newer, first]
    call_command("keys", folder, "--drop-old", verbosity=0)
    assert ids(folder, "checkpoint_key") == [newer]
    assert ids(folder, "checkpoint_public_key") == [newer, first]
    assert problem(folder) == ""


@pytest.mark.parametrize("option", [[], ["--new"], ["--drop-old"]])
def test_a_folder_of_an_earlier_version_gets_a_checkpoint_key(folder, option):
    for name in ("checkpoint_key", "checkpoint_public_key"):
        (folder / name).unlink()
    call_command("keys", folder, *option, verbosity=0)
    assert set(ids(folder, "checkpoint_key")) <= set(ids(folder, "checkpoint_public_key"))
    assert problem(folder) == ""


@pytest.mark.parametrize("option", ["--new", "--drop-old"])
def test_a_folder_that_holds_no_keys_is_left_empty(tmp_path, option):
    with pytest.raises(CommandError):
        call_command("keys", tmp_path, option, verbosity=0)
    assert list(tmp_path.iterdir()) == []


def test_check_warns_where_the_ledger_is_not_signed(settings):
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = ""
    assert [each.id for each in ledger_is_signed()] == ["chains.W012"]
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = settings.CHAINWEB_CHECKPOINT_KEY = "c1:x"
    settings.CHAINWEB_CHECKPOINT_FILE = settings.CHAINWEB_CHECKPOINT_WEBHOOK = ""
    assert [each.id for each in ledger_is_signed()] == ["chains.W013"]
    settings.CHAINWEB_CHECKPOINT_FILE = "/checkpoints/checkpoints.jsonl"
    assert ledger_is_signed() == []


@pytest.mark.parametrize("name", ["CHAINWEB_CHECKPOINT_KEY", "CHAINWEB_CHECKPOINT_PUBLIC_KEY"])
def test_check_refuses_checkpoint_keys_that_are_malformed(name, settings):
    setattr(settings, name, "c1:x")
    assert [(each.id, name in each.msg) for each in keys_are_usable()] == [("chains.E002", True)]
