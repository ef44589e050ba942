"""Settings come from the environment, or from the file that `NAME_FILE` names."""

import os
import re
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.signals import connection_created

from chainweb.environment import checked_url
from sessions.locks import turnstile
from tests.harness.processes import CHECKOUT, clean_environ
from tests.platform import fresh

KEY = "k1:" + "A" * 43 + "="


def test_each_question_is_asked_of_a_process_that_knows_nothing_yet():
    code = "import os, sys; print(os.getpid(), [m for m in sys.modules if 'chainweb' in m])"
    one, other = (fresh.run(code, CANARY="1").stdout.split(" ", 1) for _ in range(2))
    assert one[0] != other[0]
    assert one[1] == other[1] == "[]\n"
    assert fresh.run("import os; print('CANARY' in os.environ)").stdout == "False\n"


def run_with_settings(code, **environ):
    return fresh.run(f"from chainweb import settings\n{code}", **environ)


def asked_of_settings(code, **environ):
    """Return what the code prints in a fresh process, or the last line of the error."""
    done = run_with_settings(code, **environ)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def setting(name, **environ):
    """Read a setting in a fresh process: its repr, or the last line of the error."""
    return asked_of_settings(f"print(repr(settings.{name}))", **environ)


def whole_error(**environ):
    done = run_with_settings("", **environ)
    assert done.returncode != 0
    return done.stdout + done.stderr.strip()


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "CHAINWEB_SEAL_KEYS",
        "CHAINWEB_ROOT_PUBLIC_KEY",
        "CHAINWEB_ROOT_KEYS",
        "CHAINWEB_CHECKPOINT_KEY",
        "CHAINWEB_CHECKPOINT_PUBLIC_KEY",
        "CHAINWEB_CHECKPOINT_FILE",
        "REDIS_URL",
    ],
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
    assert (
        setting("ALLOWED_HOSTS", ALLOWED_HOSTS_FILE=str(file)) == "['one.example', 'two.example']"
    )


def test_what_is_read_without_django_may_come_from_a_file_too(tmp_path):
    (tmp_path / "value").write_text("/var/run/token\n")
    name = "CHAINWEB_WEB_IDENTITY_TOKEN_FILES"
    code = "from sessions.aws.roots import web_identity as w; print(w.os.environ[w.ALLOWED])"
    assert asked_of_settings(code, **{f"{name}_FILE": str(tmp_path / "value")}) == "/var/run/token"


def test_a_file_that_cannot_be_read_is_named():
    said = setting("SECRET_KEY", SECRET_KEY_FILE="/nonexistent/key")
    assert said.startswith("django.core.exceptions.ImproperlyConfigured: SECRET_KEY_FILE: ")
    assert "/nonexistent/key" in said


def test_set_but_empty_root_keys_are_none_whatever_lies_in_the_data_folder(tmp_path):
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "root_keys").write_text(KEY)
    assert setting("CHAINWEB_ROOT_KEYS", CHAINWEB_DATA=str(tmp_path)) == repr(KEY)
    assert setting("CHAINWEB_ROOT_KEYS", CHAINWEB_DATA=str(tmp_path), CHAINWEB_ROOT_KEYS="") == "''"


def test_set_but_empty_checkpoint_keys_are_none_as_well(tmp_path):
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "checkpoint_key").write_text(KEY)
    name, data = "CHAINWEB_CHECKPOINT_KEY", str(tmp_path)
    assert setting(name, CHAINWEB_DATA=data) == repr(KEY)
    assert setting(name, CHAINWEB_DATA=data, CHAINWEB_CHECKPOINT_KEY="") == "''"


def test_checkpoints_go_to_the_data_folder_unless_told_otherwise(tmp_path):
    name, data = "CHAINWEB_CHECKPOINT_FILE", str(tmp_path)
    file = repr(str(tmp_path / "simulated" / "checkpoints.jsonl"))
    assert setting(name, CHAINWEB_DATA=data) == file
    assert setting(name, CHAINWEB_DATA=data, DATABASE_URL="postgres://a@b/c") == "''"


@pytest.mark.parametrize(
    "address",
    [
        *("http://siem.example/in", "siem.example", "https://", "https:///in", "ftp://a/b"),
        *(
            "https://user:pass@siem.example/",
            "https://siem.example:x/",
            "https://a b/",
            "file:///a",
        ),
        *("https://siem.example/#x", "https://[::1/", "https://siem.example/\nHost: other"),
    ],
)
def test_an_address_for_checkpoints_that_is_not_https_is_refused(address):
    said = setting("CHAINWEB_CHECKPOINT_WEBHOOK", CHAINWEB_CHECKPOINT_WEBHOOK=address)
    assert "CHAINWEB_CHECKPOINT_WEBHOOK is not an address like https://host/path" in said
    assert "siem" not in said


@pytest.mark.parametrize(
    "address",
    ["siem.example", "tls://", "tls://u:secret@siem.example", "http://siem.example", "unix://a/b"],
)
def test_an_address_of_no_syslog_server_is_refused(address):
    said = setting("CHAINWEB_SIEM_SYSLOG", CHAINWEB_SIEM_SYSLOG=address)
    assert "CHAINWEB_SIEM_SYSLOG is not an address like tls://host:6514" in said
    assert "secret" not in said


def test_what_goes_to_the_siem_webhook_is_always_signed():
    webhook = {"CHAINWEB_SIEM_WEBHOOK": "https://siem.example/in"}
    said = setting("CHAINWEB_SIEM_WEBHOOK", **webhook)
    assert said.endswith("CHAINWEB_SIEM_WEBHOOK needs CHAINWEB_SIEM_WEBHOOK_KEYS.")
    for short in ("c2hvcnQ=", "no base64!"):
        said = setting("CHAINWEB_SIEM_WEBHOOK", **webhook, CHAINWEB_SIEM_WEBHOOK_KEYS=short)
        assert "is base64 of 24 to 64 bytes" in said
        assert short not in said
    keys = f"whsec_{'YWFh' * 8}, {'YmJi' * 8}"
    said = setting("CHAINWEB_SIEM_WEBHOOK_KEYS", **webhook, CHAINWEB_SIEM_WEBHOOK_KEYS=keys)
    assert said == repr((b"aaa" * 8, b"bbb" * 8))


def test_production_makes_up_no_key(tmp_path):
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "seal_keys").write_text(KEY)
    production = {"CHAINWEB_DATA": str(tmp_path), "DATABASE_URL": "postgres://a@b/c"}
    assert setting("CHAINWEB_SEAL_KEYS", **production) == "''"


def test_debug_is_refused_where_others_can_reach_it():
    assert "DEBUG shows local variables" in setting(
        "DEBUG", DEBUG="1", ALLOWED_HOSTS="chainweb.example"
    )
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


TEXTS = {
    "SECRET_KEY": "settings.SECRET_KEY",
    "CHAINWEB_SEAL_KEYS": "settings.CHAINWEB_SEAL_KEYS",
    "CHAINWEB_ROOT_KEYS": "settings.CHAINWEB_ROOT_KEYS",
    "OIDC_CLIENT_SECRET": "settings.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]['secret']",
    "DEFAULT_FROM_EMAIL": "settings.DEFAULT_FROM_EMAIL",
}


@pytest.mark.parametrize("value", ["$HOME", "$canary", "$$", r"\$canary", "${HOME}", "a$HOME"])
def test_a_value_with_a_dollar_is_taken_literally(value, tmp_path):
    (tmp_path / "value").write_text(value + "\n")
    code = f"print([{', '.join(TEXTS.values())}])"
    needed = {"OIDC_ISSUER": "https://idp.example", "OIDC_CLIENT_ID": "x"}
    for way in (
        dict.fromkeys(TEXTS, value),
        dict.fromkeys((f"{each}_FILE" for each in TEXTS), str(tmp_path / "value")),
    ):
        assert asked_of_settings(code, **needed, **way) == repr([value] * len(TEXTS))


@pytest.mark.parametrize(
    ("encoded", "password"),
    [
        ("$ecret", "$ecret"),
        ("a@b:c$d&e=f+g;h!", "a@b:c$d&e=f+g;h!"),
        ("%40%3A%2F%3F%23%25%5B%5D%20", "@:/?#%[] "),
        ("a[b]c", "a[b]c"),
        ("pässword", "pässword"),
        ("100%", "100%"),
    ],
)
def test_passwords_in_addresses_come_out_as_they_were_meant(encoded, password):
    database = setting("DATABASES['default']", DATABASE_URL=f"postgres://u:{encoded}@h:5432/db")
    assert f"'PASSWORD': {password!r}" in database
    assert "'HOST': 'h'" in database
    mail = setting("EMAIL_HOST_PASSWORD", EMAIL_URL=f"smtp+tls://u%40x.org:{encoded}@h:587")
    assert mail == repr(password)
    broker = (
        "kombu.utils.url.parse_url(settings.CELERY_BROKER_URL)['password'],"
        " redis.connection.parse_url(settings.REDIS_URL)['password']"
    )
    assert asked_of_settings(
        f"import kombu.utils.url, redis; print(({broker}))", REDIS_URL=f"redis://:{encoded}@h:1/0"
    ) == repr((password, password))


@pytest.mark.parametrize(
    "url",
    [
        "postgres:///db?host=/var/run/postgresql",
        "postgres://%2Fvar%2Frun/db",
        "postgres://u@one,two:5432/db",
        "postgres://u@one:5432,two/db",
        "postgres://u@[::1]:5432/db",
        "postgres://u@[::1]/db?sslmode=verify-full",
        "unix:///tmp/valkey.sock?db=1",
    ],
)
def test_addresses_of_every_form_are_read_as_they_are(url):
    assert checked_url("DATABASE_URL", url) == url


@pytest.mark.parametrize("name", ["DATABASE_URL", "EMAIL_URL", "REDIS_URL"])
@pytest.mark.parametrize("password", ["canary/x", "canary#x", "canary?x", "1/canary", "canary\tx"])
def test_an_address_that_cannot_be_read_is_named_and_not_shown(name, password):
    scheme = {"DATABASE_URL": "postgres", "EMAIL_URL": "smtp", "REDIS_URL": "redis"}[name]
    said = whole_error(**{name: f"{scheme}://u:{password}@h:1/0"})
    assert f"{name} is not an address" in said.splitlines()[-1]
    assert "canary" not in said


@pytest.mark.parametrize("place", ["h:99999", "h:0", "h:x", "h:٣", "[::1]:65536", "a:99999,b:1"])
def test_a_port_that_is_none_is_refused(place):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL is not an address"):
        checked_url("DATABASE_URL", f"postgres://u@{place}/db")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BEHIND_TLS_PROXY", "canary", "BEHIND_TLS_PROXY is true or false"),
        ("HSTS_SECONDS", "1.5", "HSTS_SECONDS is a whole number"),
        ("CHAINWEB_LEASE_SECONDS", "nan", "CHAINWEB_LEASE_SECONDS is a number"),
    ],
)
def test_a_number_that_is_none_is_named_and_not_shown(name, value, says):
    said = whole_error(**{"BEHIND_TLS_PROXY": "1", name: value})
    assert says in said.splitlines()[-1]
    assert "canary" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHAINWEB_BATCH_SIZE", "0"),
        ("CHAINWEB_STS_THREADS", "-1"),
        ("CHAINWEB_CALLS_PER_SECOND", "-1"),
        ("CHAINWEB_FETCHES_PER_MINUTE", "-1"),
        ("CHAINWEB_LEASE_SECONDS", "0"),
        ("CHAINWEB_TIME_COMPRESSION", "0"),
        ("CHAINWEB_LOCK_TIMEOUT_SECONDS", "1e300"),
        ("TRUSTED_PROXY_COUNT", "-1"),
        ("HSTS_SECONDS", "-1"),
    ],
)
def test_a_number_beyond_what_makes_sense_is_refused(name, value):
    said = whole_error(**{"BEHIND_TLS_PROXY": "1", name: value}).splitlines()[-1]
    assert re.search(f": {name} is a (whole )?number from ", said)


@pytest.mark.parametrize(
    ("arguments", "environ", "says"),
    [
        (
            ["check"],
            {"CHAINWEB_TIME_COMPRESSION": "0"},
            "CHAINWEB_TIME_COMPRESSION is a number from 0.001 to 1,000.",
        ),
        (
            ["check"],
            {"LOG_LEVEL": "loud"},
            "LOG_LEVEL is one of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
        ),
        (["person", b"a\xff"], {}, "An argument is not UTF-8 text."),
    ],
)
def test_a_command_tells_in_a_line_what_is_wrong(tmp_path, arguments, environ, says):
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env={
            **clean_environ(),
            "PATH": os.environ["PATH"],
            "CHAINWEB_DATA": str(tmp_path),
            **environ,
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", says)


def test_numbers_left_empty_are_not_set_and_names_in_lists_are_trimmed():
    assert setting("SECURE_COOKIES", SECURE_COOKIES="", DATABASE_URL="postgres://a@b/c") == "True"
    assert setting("CHAINWEB_BATCH_SIZE", CHAINWEB_BATCH_SIZE="") == "500"
    assert setting("CHAINWEB_CALLS_PER_SECOND", CHAINWEB_CALLS_PER_SECOND="1e3") == "1000.0"
    assert (
        setting("ALLOWED_HOSTS", ALLOWED_HOSTS="a.example, b.example,")
        == "['a.example', 'b.example']"
    )


COOKIES = (
    "print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME,"
    " settings.KNOWN_BROWSER_COOKIE_NAME)"
)


def test_cookies_are_named_by_installation_and_stay_named():
    plain = {"SECURE_COOKIES": "0"}
    one, again, other = (
        asked_of_settings(COOKIES, SECRET_KEY=key, **plain).split()
        for key in ("one", "one", "other")
    )
    assert one == again
    assert not set(one) & set(other)
    secure = asked_of_settings(COOKIES, SECRET_KEY="one", SECURE_COOKIES="1").split()
    assert secure == [f"__Host-{name}" for name in one]


def deployed(**environ):
    """Run `check --deploy` on a sound installation with these settings.

    Returns exit code and text.
    """
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"],
        cwd=CHECKOUT,
        env={
            **clean_environ(),
            "PATH": os.environ["PATH"],
            "CHAINWEB_DATA": "/nonexistent",
            "DATABASE_URL": "postgres://a@b/c",
            "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "CHAINWEB_SEAL_KEYS": KEY,
            "CHAINWEB_ROOT_PUBLIC_KEY": KEY,
            "ALLOWED_HOSTS": "chainweb.example,.inside.example",
            "BEHIND_TLS_PROXY": "1",
            **environ,
        },
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("hosts", ["*", "a.example, *", ".com", ".", "*.com", ""])
def test_hosts_of_strangers_fail_the_check_for_deployment(hosts):
    code, said = deployed(ALLOWED_HOSTS=hosts)
    assert code == 1
    assert "ALLOWED_HOSTS" in said


def test_named_hosts_pass_the_check_and_wide_origins_do_not():
    assert deployed()[0] == 0
    code, said = deployed(CSRF_TRUSTED_ORIGINS="https://*.example.com,https://*.com")
    assert code == 1
    assert said.count("CSRF_TRUSTED_ORIGINS: ") == 1


@pytest.fixture
def application(db):
    """Load the web's application, and take its limits off this process afterwards."""
    options = connections["default"].settings_dict["OPTIONS"]
    before = {**options}
    from chainweb.wsgi import application  # which looks into the database

    yield application
    options.clear()
    options.update(before)
    connection_created.disconnect(dispatch_uid="bound SQLite's statements")
    turnstile.disable()


def test_a_path_moved_by_a_script_name_is_refused(application):
    said = []
    environ = {"SCRIPT_NAME": "/x", "PATH_INFO": "/metrics", "REQUEST_METHOD": "GET"}
    assert application(environ, lambda status, headers: said.append(status)) == [b""]
    assert said == ["400 Bad Request"]
