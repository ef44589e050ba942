"""Make the environment in a small checkout with empty lock files, without a network."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.processes import CHECKOUT

pytestmark = [pytest.mark.processes, pytest.mark.no_servers]

RUN = """
import os, sys
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
from chainweb.local import bootstrap
bootstrap.need_python()
print(bootstrap.environment(HERE, sys.argv[1]))
"""


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a checkout"  # with a blank, as homes have
        room = Path("chainweb", "local")
        (self.folder / room).mkdir(parents=True)
        shutil.copy(CHECKOUT / room / "bootstrap.py", self.folder / room)
        (self.folder / "run").write_text(RUN)
        for name in (
            "requirements.txt",
            "requirements-simulation.txt",
            "requirements-development.txt",
        ):
            (self.folder / name).write_text(f"# {name}\n")
        self.bin = folder / "bin"
        self.bin.mkdir()

    def run(self, level="runtime", python=sys.executable, **environ):
        """Return (exit code, standard output, standard error).

        PATH holds what the test has put into `bin`, and no uv.
        """
        done = subprocess.run(
            [str(python), "run", level],
            cwd=self.folder,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.strip(), done.stderr

    def program(self, name: str, script: str) -> Path:
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def level(self):
        return json.loads((self.folder / ".venv" / "chainweb-lock.json").read_text())["level"]


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def real_python() -> str:
    """Return the interpreter itself, not the environment's link to it."""
    return os.path.realpath(sys.executable)


def test_the_first_time_sets_up_and_the_second_does_nothing(checkout):
    code, printed, said = checkout.run(python=real_python())
    assert code == 0, said
    assert printed == str(checkout.folder / ".venv" / "bin" / "python")
    assert "Setting up .venv" in said
    assert checkout.level() == "runtime"
    assert checkout.run(python=real_python()) == (0, printed, "")


def test_a_changed_lock_or_higher_level_is_installed_a_lower_one_is_not(checkout):
    checkout.run("simulation", python=real_python())
    assert checkout.run("runtime", python=real_python())[2] == ""
    assert "Set up." in checkout.run("development", python=real_python())[2]
    assert checkout.level() == "development"
    (checkout.folder / "requirements-development.txt").write_text("# changed\n")
    assert "Set up." in checkout.run("runtime", python=real_python())[2]
    assert checkout.level() == "development"


def test_an_environment_whose_python_is_gone_is_made_anew(checkout):
    _, python, _ = checkout.run(python=real_python())
    os.unlink(python)
    os.symlink("/nonexistent/python3", python)
    code, printed, said = checkout.run(python=real_python())
    assert (code, printed) == (0, python)
    assert "created again" in said


def test_uv_is_used_where_it_is(checkout):
    """Let a stand-in for uv write down what is asked of it."""
    log = checkout.folder / "uv.log"
    checkout.program(
        "uv",
        f'echo "$@" >> "{log}"; [ "$1" = pip ] || {{ shift $(($# - 1)); exec "{real_python()}" -m'
        ' venv --without-pip "$1"; }',
    )
    code, printed, said = checkout.run(python=real_python())
    assert code == 0, said
    made, installed = log.read_text().splitlines()
    assert made.endswith(str(checkout.folder / ".venv"))
    assert installed.startswith(f"pip install --python {printed} --require-hashes")
    assert installed.endswith(str(checkout.folder / "requirements.txt"))


def test_where_uv_fails_pip_does_it(checkout):
    checkout.program("uv", "echo 'uv is broken' >&2; exit 2")
    code, _, said = checkout.run(python=real_python())
    assert code == 0, said
    assert "uv could not install the packages; trying pip." in said


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_missing_pieces_are_named_with_the_command_that_installs_them(checkout, tmp_path, missing):
    """Hide a module of the standard library, as Debian's Python without python3-venv does."""
    (tmp_path / "site" / missing).mkdir(parents=True)
    (tmp_path / "site" / missing / "__init__.py").write_text(f"raise ImportError('no {missing}')\n")
    (tmp_path / "site" / "pip").mkdir()
    (tmp_path / "site" / "pip" / "__init__.py").write_text("raise ImportError('no pip')\n")
    code, _, said = checkout.run(python=real_python(), PYTHONPATH=str(tmp_path / "site"))
    assert code == 1
    assert "has no working venv and ensurepip modules" in said
    assert "python3-venv" in said or "apt-get install python3" in said
    assert not (checkout.folder / ".venv").exists()


def test_the_apt_line_is_for_the_python_that_apt_has_installed():
    code = (
        "import sys; sys.path.insert(0, '.'); from chainweb.local import bootstrap;"
        "import shutil, os;"
        "sys.executable = '/usr/bin/python3'; shutil.which = lambda name: '/usr/bin/' + name;"
        "os.geteuid = lambda: 1000; print(bootstrap.missing_pieces())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    series = "{}.{}".format(*sys.version_info[:2])
    assert said.splitlines()[-1] == f"  sudo apt-get install python{series}-venv"


def test_an_old_python_goes_on_in_a_newer_one_that_it_finds(checkout):
    """Play an old interpreter by today's with another version number."""
    checkout.program("python3.13", f'exec "{real_python()}" "$@"')
    old = checkout.folder / "old.py"
    old.write_text(
        "import sys; sys.version_info = (3, 8, 0); sys.argv[0] = 'run';"
        f" exec({RUN!r}.replace('__file__', repr('run')))\n"
    )
    done = subprocess.run(
        [real_python(), "old.py", "runtime"],
        cwd=checkout.folder,
        env={"PATH": f"{checkout.bin}:/usr/bin:/bin", "HOME": str(checkout.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(checkout.folder / ".venv" / "bin" / "python")


def test_two_at_once_set_up_once(checkout):
    environ = {"PATH": f"{checkout.bin}:/usr/bin:/bin", "HOME": str(checkout.folder)}
    both = [
        subprocess.Popen(
            [real_python(), "run", "runtime"],
            cwd=checkout.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert sum("Setting up .venv" in each for _, each in said) == 1


@pytest.mark.parametrize("script", ["run", "test", "chainweb/local/bootstrap.py"])
def test_the_scripts_can_be_read_by_an_old_python(script):
    """So that it can say what is missing instead of showing a syntax error."""
    ast.parse((CHECKOUT / script).read_text(), feature_version=(3, 6))
