"""Run identity providers that others wrote.

They are fetched from npm and run by node in a process of their own.
"""

import json
import os
import shutil
import subprocess

import pytest
import requests


def give_up(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI has to have one.")
    pytest.skip(reason)


def npm_install(folder, package):
    """Have npm put a package into that folder, now."""
    if not shutil.which("npm") or not shutil.which("node"):
        give_up(f"There is no node with npm here for {package}")
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        give_up(f"npm could not install {package} ({done.stderr.strip()[-300:]})")
    return folder


class IdentityProvider:
    """Hold the process and what its administrator can do; its first output says where it is."""

    def __init__(self, script, folder, *arguments):
        self.process = subprocess.Popen(
            ["node", script, folder, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said = json.loads(self.process.stdout.readline())
        self.issuer, self.url = said["issuer"], said["url"]

    def person(self, name, /, **claims):
        requests.put(f"{self.url}/people/{name}", json=claims, timeout=10).raise_for_status()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
