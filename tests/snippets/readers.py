"""Run the programs that read snippets, where they are installed, on many texts at once."""

import json
import os
import shutil
import subprocess

import pytest


def need(program):
    """Skip where a program is absent that CI does not install."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def run_node(code, data, folder):
    """Return what a script of Node's prints as JSON; `data` is its input, read from a file."""
    need("node")
    (folder / "input.json").write_text(json.dumps(data))
    script = folder / "script.cjs"
    script.write_text(
        "const data = JSON.parse(require('fs').readFileSync('input.json', 'utf8'));\n" + code
    )
    done = subprocess.run(
        ["node", str(script)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout)
