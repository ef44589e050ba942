"""Run a whole Chainweb for a test: `manage.py up`, known by its output, asked through its API.

Runtime packages only, since `.ci/one_task.py` uses it in an environment without those of
development. Linux only: it reads /proc.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.harness import proc, processes
from tests.harness.processes import CHECKOUT, clean_environ, free_port
from tests.harness.waiting import PATIENCE_SECONDS, wait_for


class Installation:
    """Start it, ask it, end it; `end` has to be called whatever happens."""

    def __init__(
        self, data: Path, environ: Mapping[str, str] | None = None, command: Sequence[str] = ()
    ) -> None:
        self.command = list(command) or [sys.executable, "manage.py", "up"]
        self.port = free_port()
        self.mark = f"INSTALLATION={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.environ = {
            **clean_environ(),
            "CHAINWEB_DATA": str(data),
            **(environ or {}),
            name: value,
        }
        self.folder = data / self.environ.get("CHAINWEB_AWS", "simulated")
        self.lines: list[str] = []

    # --- starting and ending ----------------------------------------------------------------------

    def start(self, *arguments: str) -> "Installation":
        """Wait until it says that it is ready.

        `seconds_to_ready` then is the time that a person has waited.
        """
        begun = time.monotonic()
        self.launch(*arguments)
        wait_for(
            lambda: self.said("Chainweb is ready at") or self.has_ended(),
            "the line that says ready",
        )
        self.seconds_to_ready = time.monotonic() - begun
        assert not self.has_ended(), self.output()
        return self

    def launch(self, *arguments: str) -> None:
        self.lines = []
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port), *arguments],
            cwd=CHECKOUT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as printed:
            self.lines.extend(iter(printed.readline, ""))

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit code, and all it has printed."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(10)
        return code, self.output()

    def stop(self) -> tuple[int, str]:
        """Interrupt the whole process group, as Ctrl-C does in a terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ended()

    def end(self) -> None:
        """Whatever state it is in, nothing of it is left afterwards."""
        if hasattr(self, "process") and not self.has_ended():
            self.process.terminate()
            self.ended()
        for process_id in self.left():
            os.kill(process_id, signal.SIGKILL)

    def left(self) -> list[int]:
        return proc.marked(self.mark, self.folder / "logs")

    # --- what it says and shows -------------------------------------------------------------------

    def output(self) -> str:
        return "".join(self.lines)

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def logins(self) -> dict[str, str]:
        """user name → password, from the lines that are printed for the demo."""
        return dict(re.findall(r"^  (\S+) +password (\S+)  \(\w+\)$", self.output(), re.M))

    def children(self) -> dict[str, int]:
        """name → process id of each child of the supervisor, by the log that its output goes to."""
        found = {}
        for process_id in self.left():
            try:
                output = os.readlink(f"/proc/{process_id}/fd/1")
                parent = int(proc.stat(process_id)[1])
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and output.endswith(".log"):
                found[Path(output).stem] = process_id
        return found

    # --- using it ---------------------------------------------------------------------------------

    def manage(self, *arguments: str, **environ: str) -> str:
        """Run a manage.py command beside it and return its output."""
        return processes.manage(*arguments, environ={**self.environ, **environ})

    def token(self, user: str, team: str) -> str:
        scopes = [f"--scope={each}" for each in ("read", "use", "credentials", "manage")]
        return self.manage("token", user, "--team", team, "--name", "tests", *scopes)

    def setup(self, team: str, admin: str, *arguments: str) -> str:
        return self.manage(
            "setup",
            "--team",
            team,
            "--admin",
            admin,
            *arguments,
            CHAINWEB_PASSWORD=f"{uuid.uuid4()}",
        )

    def request(
        self, method: str, path: str, token: str = "", body: Any = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Host": "localhost", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def api(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """Return the JSON of a good answer of the API; fail with the answer if it is not good."""
        status, answer = self.request(method, f"/api/v1{path}", token, body)
        assert status < 300, (method, path, status, answer)
        return json.loads(answer) if answer else None

    def status(self, session_id: str, token: str) -> str:
        found: str = self.api("GET", f"/sessions/{session_id}", token)["status"]
        return found

    def credentials(self, session_id: str, token: str) -> dict[str, Any]:
        """Return what credential_process gets."""
        found: dict[str, Any] = self.api(
            "GET", f"/sessions/{session_id}/credentials?format=process", token
        )
        return found

    def wait_until_active(self, session_id: str, token: str) -> None:
        wait_for(
            lambda: self.status(session_id, token) == "active", f"session {session_id} to be active"
        )

    def create_root(self, token: str, key: Any, alias: str = "Root key") -> str:
        """Make an IAM user's session from its `AwsCredentials`; the id."""
        body = {
            "kind": "iam-user",
            "alias": alias,
            "profile": alias.lower().replace(" ", "-"),
            "region": "eu-west-1",
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key.reveal(),
        }
        found: str = self.api("POST", "/sessions", token, body)["id"]
        return found

    def create_chained(
        self, token: str, assumer: str, role_arn: str, name: str = "{username}"
    ) -> str:
        alias = role_arn.rpartition("/")[2]
        body = {
            "kind": "iam-role-chained",
            "alias": alias,
            "profile": alias.lower(),
            "region": "eu-west-1",
            "role_arn": role_arn,
            "role_session_name": name,
            "assumer": assumer,
        }
        found: str = self.api("POST", "/sessions", token, body)["id"]
        return found
