"""The documents say what is so: the map, the settings, the commands, the packages."""

import re
import socket
import tomllib
from types import SimpleNamespace

from django.core.management import get_commands

from chainweb.local.processes import web_command
from chainweb.web_worker import WebWorker
from tests.harness.processes import CHECKOUT

DOCUMENTS = {
    file.name: file.read_text()
    for file in [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")]
}


def part(document, title):
    return DOCUMENTS[document].partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_everything_on_the_map_is_there():
    first_column = [
        line.split("|")[1]
        for line in part("architecture.md", "A map of the house").splitlines()
        if line.startswith("| `")
    ]
    for cell in first_column:
        paths = re.findall(r"`([^`]+)`", cell)
        assert paths
        for path in paths:
            beside = CHECKOUT / paths[0]
            assert (CHECKOUT / path).exists() or (beside.parent / path).exists(), path


def test_every_link_between_documents_leads_somewhere():
    for name, text in DOCUMENTS.items():
        folder = CHECKOUT if (CHECKOUT / name).is_file() else CHECKOUT / "docs"
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (folder / target).is_file(), (name, target)


def test_every_file_that_a_document_names_is_there():
    """Leave out names with a placeholder: `sessions/snippets/<format>.py`."""
    path = re.compile(r"`((?:sessions|tests|templates|chainweb|bench|chaos|deploy|docs)/[\w./-]+)`")
    for name, text in DOCUMENTS.items():
        for target in path.findall(text):
            assert (CHECKOUT / target).exists(), (name, target)


def test_every_setting_is_in_the_table_and_nothing_else_is():
    read = set()
    for file in [
        CHECKOUT / "chainweb" / "settings.py",
        CHECKOUT / "chainweb" / "local" / "embedded.py",
    ]:
        read |= set(re.findall(r"""env(?:iron)?\.\w+\(\s*"([A-Z_]+)\"""", file.read_text()))
    read -= {"HOME", "XDG_DATA_HOME"}
    # Read where it is used, since `sessions.aws` knows no Django.
    read.add("CHAINWEB_WEB_IDENTITY_TOKEN_FILES")
    rows = [
        line.split("|")[1]
        for line in DOCUMENTS["settings.md"].splitlines()
        if line.startswith("| `")
    ]
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    named |= set(
        re.findall(r"`([A-Z_]+)`", DOCUMENTS["settings.md"].rpartition("Set by Chainweb itself")[2])
    )
    assert named == read


def test_the_web_keeps_as_many_connections_as_documented():
    """Count connections: one a thread.

    gunicorn's are twice those of `--threads` (see WebWorker), and health has its own.
    """
    with socket.socket() as listener:
        [threads] = re.findall(r"--threads=(\d+)", " ".join(web_command(listener)))
    assert f"up to {2 * int(threads) + 1} connections" in DOCUMENTS["operations.md"]
    worker = object.__new__(WebWorker)
    worker.cfg = SimpleNamespace(threads=int(threads))
    assert worker.get_thread_pool()._max_workers == 2 * int(threads)


def test_every_command_exists():
    for text in DOCUMENTS.values():
        assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())


def test_every_package_has_its_line_and_no_other_has():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["simulation"]]
    names = {re.match(r"[\w-]+", each)[0].lower() for each in asked}
    first = " ".join(
        line.split("|")[1]
        for line in part("README.md", "What it stands on").splitlines()
        if line.startswith("|")
    )
    told = set(re.findall(r"[a-z][\w-]+", first.lower())) - {"package", "lts", "with", "redis"}
    assert told == names
