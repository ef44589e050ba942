"""Read docker-compose.yml and Dockerfile as the engine would.

The same commands in the
same environments, in a folder that holds what the image holds."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.harness.processes import CHECKOUT

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
# The services that run our image; the others are PostgreSQL and Valkey.
OURS = [name for name, service in SERVICES.items() if service["image"] == "chainweb"]


def interpolated(text: str, shell: Mapping[str, str]) -> str:
    """`${NAME:-default}` and `${NAME:?message}`, as compose reads them."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found["name"], found["kind"], found["rest"]
        if shell.get(name):
            return shell[name]
        assert kind != ":?", f"{name}: {rest}"
        return rest or ""

    return re.sub(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}", value, text)


def environment(service: str, shell: Mapping[str, str], secrets: Path) -> dict[str, str]:
    """Return a container's environment: the image's ENV, the service's, and its secrets."""
    given = SERVICES[service]["environment"]
    image = dict(
        re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*PATH.*)$", DOCKERFILE, re.M)))
    )
    mounted = {f"/run/secrets/{name}": str(secrets / name) for name in SERVICES[service]["secrets"]}
    found = {"CHAINWEB_AWS": image["CHAINWEB_AWS"], "PYTHONUNBUFFERED": image["PYTHONUNBUFFERED"]}
    for name, value in given.items():
        if value is None:  # passed on if the shell has it
            if name in shell:
                found[name] = shell[name]
        else:
            text = interpolated(str(value), shell)
            # A path that is no secret of this service stays what it is, and cannot be read.
            found[name] = mounted.get(text, text)
    return found


def command(service: str) -> list[str]:
    return shlex.split(SERVICES[service]["command"])


def unpack_image(folder: Path) -> None:
    """Copy what the Dockerfile copies from the checkout, with static files collected as it does."""
    for source, target in re.findall(r"^COPY (?!--from)(\S+) (\S+)$", DOCKERFILE, re.M):
        if target.startswith("/"):
            continue  # the lock, for the stage before
        if (CHECKOUT / source).is_dir():
            shutil.copytree(
                CHECKOUT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(CHECKOUT / source, folder / target)
    [build] = re.findall(r"^RUN (python .*collectstatic.*)$", DOCKERFILE, re.M)
    subprocess.run(
        ["sh", "-c", build],
        cwd=folder,
        env={"PATH": path(), "CHAINWEB_AWS": "real", "STATIC_ROOT": str(folder / "staticfiles")},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def path() -> str:
    """PATH with this environment's programs first, as the image has its own."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"
