"""Check docker-compose.yml and Dockerfile. No container engine runs them here."""

import re
import socket
import subprocess
import sys

import pytest

from chainweb.local import processes
from tests.harness.processes import CHECKOUT
from tests.platform.compose import COMPOSE, DOCKERFILE, OURS, SERVICES, command, interpolated

WORKERS = {"worker", "starter"}


def without_program(given):
    """Return the command without the Python that runs it, its niceness, and where it listens."""
    if given[0] == "nice":
        given = given[3:]
    if given[0] == sys.executable:
        given = given[2:]
    return [each for each in given if not each.startswith("--bind=")]


def test_the_commands_are_those_of_run():
    with socket.socket() as listener:
        ours = {
            "web": processes.web_command(listener),
            "worker": processes.worker_command(),
            "starter": processes.starter_command(),
            "beat": processes.beat_command(),
        }
    for name, expected in ours.items():
        assert command(name) == [
            *without_program(expected)[:2],
            *(["--bind=0.0.0.0:8000"] if name == "web" else []),
            *without_program(expected)[2:],
        ]
    assert set(ours) | {"migrate"} == set(OURS)
    [image] = re.findall(r'^CMD \["(gunicorn.*)"\]$', DOCKERFILE, re.M)
    assert image.split('", "') == command("web")


@pytest.mark.parametrize("name", OURS)
def test_only_workers_have_the_root_keys_and_an_aws_identity(name):
    service = SERVICES[name]
    given = set(service["environment"])
    assert ("root_keys" in service["secrets"]) == (name in WORKERS)
    assert ("CHAINWEB_ROOT_KEYS_FILE" in given) == (name in WORKERS)
    assert ("checkpoint_key" in service["secrets"]) == (name in WORKERS)
    assert ("CHAINWEB_CHECKPOINT_KEY_FILE" in given) == (name in WORKERS)
    assert any(each.startswith("AWS_") for each in given) == (name in WORKERS)
    # Nothing that is secret stands in the file itself.
    for variable in ("SECRET_KEY", "DATABASE_URL", "CHAINWEB_SEAL_KEYS", "CHAINWEB_ROOT_KEYS"):
        assert variable not in given
    # And who calls no AWS has no way out of this machine.
    assert ("outside" in service["networks"]) == (name in WORKERS)


def test_every_secret_is_declared_used_and_made_by_the_keys_command(tmp_path):
    from django.core.management import call_command

    call_command("keys", str(tmp_path / "secrets"), verbosity=0)
    made = {path.name for path in (tmp_path / "secrets").iterdir()}
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert made == used == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    password = (tmp_path / "secrets" / "database_password").read_text().strip()
    assert f":{password}@postgres:5432/" in (tmp_path / "secrets" / "database_url").read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())


def test_migrations_alone_run_as_the_owner_of_the_tables():
    for name in OURS:
        service = SERVICES[name]
        owns = name == "migrate"
        assert ("database_owner_url" in service["secrets"]) == owns
        assert ("database_url" in service["secrets"]) != owns
        kind = "database_owner_url" if owns else "database_url"
        assert service["environment"]["DATABASE_URL_FILE"] == f"/run/secrets/{kind}"
        # Not even the password of the superuser, which nothing connects as.
        assert not {each for each in service["secrets"] if "password" in each}
    assert SERVICES["migrate"]["environment"]["CHAINWEB_DATABASE_APP_ROLE"] == "chainweb_app"


def test_the_keys_are_for_the_roles_that_the_database_makes(tmp_path):
    from django.core.management import call_command

    call_command("keys", str(tmp_path), verbosity=0)
    urls = [(tmp_path / f"{each}_url").read_text() for each in ("database", "database_owner")]
    passwords = {path.read_text() for path in tmp_path.glob("*_password")}
    assert [re.match(r"postgres://(\w+):", url)[1] for url in urls] == [
        "chainweb_app",
        "chainweb_owner",
    ]
    assert len(passwords) == 3
    script = (CHECKOUT / "deploy" / "postgres" / "roles.sh").read_text()
    assert 'OWNER="${OWNER:-chainweb_owner}" APP="${APP:-chainweb_app}"' in script
    assert any(
        each.startswith("./deploy/postgres/roles.sh:/docker-entrypoint-initdb.d/")
        for each in SERVICES["postgres"]["volumes"]
    )


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_service_comes_back_and_says_how_its_health_is_known(name):
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
    assert set(service["healthcheck"]) & {"test", "disable"}
    for other, condition in service.get("depends_on", {}).items():
        assert other in SERVICES
        if condition["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
    assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_the_broker_and_the_database_are_reached_from_inside_alone():
    assert COMPOSE["networks"]["data"] == {"internal": True}
    for name in ("postgres", "valkey"):
        assert SERVICES[name]["networks"] == ["data"]
        assert "ports" not in SERVICES[name]
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_the_host_name_has_to_be_given():
    with pytest.raises(AssertionError, match="CHAINWEB_HOST"):
        interpolated(SERVICES["web"]["environment"]["ALLOWED_HOSTS"], {})


def test_the_image_holds_the_runtime_lock_alone_and_runs_as_nobody_special():
    assert "requirements.txt" in DOCKERFILE
    assert "requirements-" not in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.M)[-1] == "10001:10001"
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("\nCMD")
    assert "HEALTHCHECK" in DOCKERFILE
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.M)
    assert ignored[0] == "*"
    assert {f"!{source}" for source in copied} == {line for line in ignored if line.startswith("!")}


def test_the_keys_beside_the_compose_file_are_in_no_commit_and_no_image(tmp_path):
    ignored = subprocess.run(
        ["git", "check-ignore", "secrets/root_keys"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert ignored.stdout.strip() == "secrets/root_keys"
    assert (CHECKOUT / ".dockerignore").read_text().splitlines()[-1] == "**/secrets"
