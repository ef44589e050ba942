"""Make the checkout's `.venv` for `./run` and `./test` with Python's standard library alone.

This file and the two commands are read by whatever `python3` is, so they keep to what Python 3.6
can parse; it is that old Python which looks for a newer one. An environment is good when its marker
names a lock file's present content: then nothing is installed and no network is asked.
"""

# ruff: noqa: S603, S606, T201  (a script: it prints, and it starts programs by paths that it found itself)

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

OLDEST = (3, 11)
# Those that the tests have run with come first.
SERIES = ("3.13", "3.12", "3.11", "3.14")
# Each holds all of the one before.
LOCKS = {
    "runtime": "requirements.txt",
    "simulation": "requirements-simulation.txt",
    "development": "requirements-development.txt",
}
LEVELS = list(LOCKS)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def stop(text: str) -> None:
    say(text)
    sys.exit(1)


# --- a Python that is new enough ------------------------------------------------------------------


def need_python() -> None:
    """Require a Python that is new enough.

    Else go on in a newer one on PATH, or end and say what to install.
    """
    if sys.version_info >= OLDEST:
        return
    for found in filter(None, (shutil.which("python" + series) for series in SERIES)):
        if version_of(found) >= OLDEST:
            os.execv(found, [found, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
    stop(
        "Chainweb needs Python {}.{} or newer; this is {}.{}"
        " and no newer one is on PATH.\n{}".format(
            *OLDEST, *sys.version_info[:2], how_to_get_python()
        )
    )


def version_of(python: str) -> "tuple[int, ...]":
    """Return its version; (0,) for one that does not run, as names that pyenv leaves on PATH."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.check_output(
            [python, "-c", code], stderr=subprocess.DEVNULL, timeout=20
        )
        return tuple(int(number) for number in answer.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return (0,)


def how_to_get_python() -> str:
    if shutil.which("uv"):
        return "Install one with:  uv python install 3.13"
    if shutil.which("apt-get"):
        return (
            f"Install one with:  {sudo()}apt-get install python3 python3-venv   (Debian 12, Ubuntu"
            " 24.04 or newer)"
        )
    if shutil.which("brew"):
        return "Install one with:  brew install python@3.13"
    return "Install one from your system's packages."


def sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "


# --- the environment ------------------------------------------------------------------------------


def environment(here: str, level: str) -> str:
    """Return the path of `.venv`'s Python, after installing the lock of at least that level.

    Ends the program if that is not possible.
    """
    folder = os.path.join(here, ".venv")
    python = os.path.join(folder, "bin", "python")
    if installed_level(here, python) >= LEVELS.index(level):
        return python
    with open(os.path.join(here, "run")) as only_one:
        try:
            fcntl.flock(only_one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Another ./run or ./test is setting up; waiting for it.")
            fcntl.flock(only_one, fcntl.LOCK_EX)
        if installed_level(here, python) < LEVELS.index(level):
            try:
                install(
                    here, folder, python, LEVELS[max(LEVELS.index(level), marked_level(folder))]
                )
            except KeyboardInterrupt:
                stop("\nStopped. The same command goes on where this one was.")
    return python


def installed_level(here: str, python: str) -> int:
    """Return the index in LEVELS of what is installed; -1 for nothing.

    An installation counts while it matches its lock file.
    """
    folder = os.path.dirname(os.path.dirname(python))
    level = marked_level(folder)
    if level < 0 or not os.access(python, os.X_OK):
        return -1
    return level if marker(folder) == wanted_marker(here, LEVELS[level]) else -1


def marker(folder: str) -> "dict[str, str]":
    try:
        with open(os.path.join(folder, "chainweb-lock.json")) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def marked_level(folder: str) -> int:
    level = marker(folder).get("level")
    return LEVELS.index(level) if level in LEVELS else -1


def wanted_marker(here: str, level: str) -> "dict[str, str]":
    with open(os.path.join(here, LOCKS[level]), "rb") as file:
        return {"level": level, "sha256": hashlib.sha256(file.read()).hexdigest()}


def install(here: str, folder: str, python: str, level: str) -> None:
    lock = os.path.join(here, LOCKS[level])
    with open(lock) as file:
        count = sum(1 for line in file if re.match(r"[A-Za-z0-9]\S*==", line))
    if not os.access(folder if os.path.isdir(folder) else here, os.W_OK):
        stop(
            f"{here} cannot be written by this user, and the packages are not installed there yet."
        )
    say(f"Setting up .venv ({count} packages, once; needs the network).")
    if not os.access(python, os.X_OK) or version_of(python) < OLDEST:
        if os.path.lexists(folder):
            say("The .venv there has no working Python of 3.11 or newer: it is created again.")
            shutil.rmtree(folder)
        create(folder)
    if not (install_with_uv(python, lock) or install_with_pip(folder, python, lock, count)):
        stop(
            "The packages could not be installed. Is the package index reachable from here? Run the"
            " same command again."
        )
    part = os.path.join(folder, "chainweb-lock.json.part")
    with open(part, "w") as file:
        json.dump(wanted_marker(here, level), file)
    os.replace(part, part[: -len(".part")])
    say("Set up.")


def create(folder: str) -> None:
    """Make the environment by uv, else by this Python's venv with a pip of its own."""
    uv = shutil.which("uv")
    if uv and quiet([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder]):
        return
    if not quiet([sys.executable, "-m", "venv", folder]):
        shutil.rmtree(folder, ignore_errors=True)
        stop(missing_pieces())


def missing_pieces() -> str:
    series = "{}.{}".format(*sys.version_info)
    text = f"This Python ({sys.executable}) has no working venv and ensurepip modules.\n"
    if shutil.which("apt-get") and sys.executable.startswith("/usr/bin"):
        return (
            text + f"Install them, then run the same command again:\n  {sudo()}apt-get install"
            f" python{series}-venv"
        )
    return (
        text
        + "Install them (the package is often called python3-venv), or install uv, and try again."
    )


def quiet(command: "list[str]") -> bool:
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def install_with_uv(python: str, lock: str) -> bool:
    uv = shutil.which("uv")
    if not uv:
        return False
    command = [
        uv,
        "pip",
        "install",
        "--python",
        python,
        "--require-hashes",
        "--compile-bytecode",
        "-r",
        lock,
    ]
    if subprocess.call(command) == 0:
        return True
    say("uv could not install the packages; trying pip.")
    return False


def install_with_pip(folder: str, python: str, lock: str, count: int) -> bool:
    """Install the packages with the environment's own pip.

    One line shows the progress; a log holds the whole output.
    """
    # An environment that uv made has no pip.
    if not (quiet([python, "-m", "pip", "--version"]) or quiet([python, "-m", "ensurepip"])):
        shutil.rmtree(folder)
        stop(missing_pieces())
    pip = [python, "-m", "pip"]
    pip += [
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--progress-bar",
        "off",
        "--require-hashes",
        "-r",
        lock,
    ]
    log = os.path.join(folder, "install.log")
    process = subprocess.Popen(
        pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    lines = []  # type: list[str]
    collected = 0
    assert process.stdout
    with open(log, "w") as file:
        for line in process.stdout:
            file.write(line)
            lines.append(line.rstrip())
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                collected += 1
                name = line.split()[1 if line.startswith("C") else 3]
                progress(f"  {min(collected, count):3d} of {count}  {name}", collected % 10 == 0)
            elif line.startswith("Installing collected packages"):
                progress("  all there; installing", True)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    if process.wait() == 0:
        return True
    say(
        "\n".join(
            [f"pip failed; its last lines (all of them are in {log}):"]
            + ["  " + one for one in lines[-12:]]
        )
    )
    return False


def progress(text: str, worth_a_line: bool) -> None:
    """Print progress: on a terminal one line that changes, in a log some of them."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" + text[:78])
        sys.stderr.flush()
    elif worth_a_line:
        say(text)
