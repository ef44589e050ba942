"""Read the manifest of a Granted profile registry: which files to import, and which values to fill.

https://docs.commonfate.io/granted/usage/profile-registry
"""

from sessions.imports.ini import Unreadable, short
from sessions.imports.plan import Note, Plan
from sessions.imports.yaml_nodes import read_yaml


def read_registry(text: str, file: str, plan: Plan) -> None:
    """Say which files a registry merges; they are imported as AWS config files beside it."""
    document = read_yaml(text)
    listed = document.get("awsConfig")
    if not listed.items:
        raise Unreadable(1, "This is no registry of Granted: it lists no files under awsConfig.")
    for each in listed.items:
        plan.remarks.append(
            Note(file, each.line, f"The registry merges {short(each.text)}: import it as well.")
        )
    for each in document.get("templateValues").items:
        for name, values in each.map.items():
            fixed = next((part.get("value").text for part in values.items if part.map), "")
            said = "is fixed" if fixed else "is asked of each person"
            plan.remarks.append(Note(file, values.line, f"The value {short(name)} {said}."))
