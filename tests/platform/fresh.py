"""Run code in processes as good as new: forks of one that has loaded what others have written.

To start Python and to load those packages takes 0.4 CPU seconds, and a fork a few hundredths.
"""

import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.harness.processes import CHECKOUT, clean_environ

# It loads the settings for the packages that they need, and forgets every module of ours.
ORIGINAL = """
import json, os, sys, traceback
import chainweb.settings
for name in [each for each in sys.modules if each.partition(".")[0] in {"chainweb", "sessions"}]:
    del sys.modules[name]
print("ready", flush=True)
for line in sys.stdin:
    code, environ, files = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environ)
        for number, path in enumerate(files, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        ended = 1
        try:
            exec(code, {"__name__": "__main__"})
            ended = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
SETTINGS = {"CHAINWEB_DATA": "/nonexistent"}


@cache
def _original() -> "subprocess.Popen[str]":
    """Start the process that is forked; it ends with the pipe to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", ORIGINAL],
        cwd=CHECKOUT,
        env=clean_environ() | SETTINGS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def run(code: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run code with these settings and no others: its exit code, and what it printed."""
    process = _original()
    assert process.stdin
    assert process.stdout
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("stdout", "stderr")]
        asked = json.dumps([code, clean_environ() | SETTINGS | environ, files])
        print(asked, file=process.stdin, flush=True)
        ended = int(process.stdout.readline())
        printed = [Path(file).read_text("utf-8") for file in files]
    return subprocess.CompletedProcess(code, ended, *printed)
