"""Settings come from the environment, or from the file that `NAME_FILE` names."""

import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from tests.platform.installation import CHECKOUT, clean_environ

KEY = "k1:" + "A" * 43 + "="


def setting(name, **environ):
    """Its repr in a fresh process, or the last line of the error."""
    done = subprocess.run(
        [sys.executable, "-c", f"from chainweb import settings; print(repr(settings.{name}))"],
        cwd=CHECKOUT,
        env={**clean_environ(), "CHAINWEB_DATA": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "name",
    ["SECRET_KEY", "CHAINWEB_SEAL_KEYS", "CHAINWEB_ROOT_PUBLIC_KEY", "CHAINWEB_ROOT_KEYS", "REDIS_URL"],
)
def test_a_value_may_come_from_a_file_and_its_newline_is_no_part_of_it(name, tmp_path):
    file = tmp_path / "value"
    file.write_text("redis://somewhere:6379/3\n")
    assert setting(name, **{f"{name}_FILE": str(file)}) == "'redis://somewhere:6379/3'"


def test_database_and_hosts_come_from_files_too(tmp_path):
    file = tmp_path / "value"
    file.write_text("postgres://someone@somewhere:5432/chainweb\n")
    assert "'NAME': 'chainweb'" in setting("DATABASES", DATABASE_URL_FILE=str(file))
    file.write_text("one.example,two.example\n")
    assert setting("ALLOWED_HOSTS", ALLOWED_HOSTS_FILE=str(file)) == "['one.example', 'two.example']"


def test_a_file_that_cannot_be_read_is_named():
    said = setting("SECRET_KEY", SECRET_KEY_FILE="/nonexistent/key")
    assert said.startswith("django.core.exceptions.ImproperlyConfigured: SECRET_KEY_FILE: ")
    assert "/nonexistent/key" in said


def test_set_but_empty_root_keys_are_none_whatever_lies_in_the_data_folder(tmp_path):
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "root_keys").write_text(KEY)
    assert setting("CHAINWEB_ROOT_KEYS", CHAINWEB_DATA=str(tmp_path)) == repr(KEY)
    assert setting("CHAINWEB_ROOT_KEYS", CHAINWEB_DATA=str(tmp_path), CHAINWEB_ROOT_KEYS="") == "''"


def test_production_makes_up_no_key(tmp_path):
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "seal_keys").write_text(KEY)
    production = {"CHAINWEB_DATA": str(tmp_path), "DATABASE_URL": "postgres://a@b/c"}
    assert setting("CHAINWEB_SEAL_KEYS", **production) == "''"


def test_debug_is_refused_where_others_can_reach_it():
    assert "DEBUG shows local variables" in setting("DEBUG", DEBUG="1", ALLOWED_HOSTS="chainweb.example")
    assert setting("DEBUG", DEBUG="1") == "True"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "chainweb.example"])
def test_debug_is_refused_on_an_address_that_others_can_reach(host, settings):
    settings.DEBUG = True
    with pytest.raises(CommandError, match="DEBUG shows local variables"):
        call_command("up", host=host)


def test_only_postgresql_is_taken_as_a_database_of_ones_own():
    assert "must name a PostgreSQL database" in setting("DATABASES", DATABASE_URL="mysql://a@b/c")


def test_the_environment_check_names_every_key_that_is_missing():
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--tag", "keys"],
        cwd=CHECKOUT,
        env={**clean_environ(), "CHAINWEB_DATA": "/nonexistent", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for name in ("SECRET_KEY", "CHAINWEB_SEAL_KEYS", "CHAINWEB_ROOT_PUBLIC_KEY"):
        assert f"{name} is not set." in done.stderr
