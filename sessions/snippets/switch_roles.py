"""Write the INI of AWS Extend Switch Roles, a browser extension that changes console roles.

https://github.com/tilfinltd/aws-extend-switch-roles: a base is the account, and role, one is signed
in with; a target names its base by `source_profile` and is offered there. So an assumer that is
itself a role stands twice, as a target of its own assumer and as the base of what is above it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Of the labels' colours, as the console draws them beside the role's name.
COLOURS = {
    "grey": "8a8f98",
    "blue": "4a7fc1",
    "teal": "2a9bb0",
    "green": "3f9a5f",
    "amber": "d99a2b",
    "red": "d0453b",
    "pink": "d65d84",
    "violet": "8a6cc2",
}


@dataclass(frozen=True)
class SwitchRole:
    """Hold one role to switch to, and from where.

    `key` tells sessions apart, `assumer_key` is that of the one it is assumed from.
    `assumer_role_name` is empty for a root.
    """

    key: str
    profile: str
    role_arn: str
    region: str
    colour: str
    assumer_key: str
    assumer_profile: str
    assumer_account: str
    assumer_role_name: str


def switch_roles_ini(roles: Iterable[SwitchRole]) -> str:
    """Write targets and their bases, each section's name once. Empty without roles."""
    listed = list(roles)
    taken: set[str] = set()
    bases: dict[str, str] = {}
    sections: list[list[str]] = []
    for role in listed:
        if role.assumer_key in bases or not role.assumer_account:
            continue
        name = _free(f"{role.assumer_profile}-base", taken)
        bases[role.assumer_key] = name
        lines = [f"[{name}]", f"aws_account_id = {role.assumer_account}"]
        if role.assumer_role_name:
            lines.append(f"role_name = {role.assumer_role_name}")
        sections.append(lines)
    for role in listed:
        lines = [f"[{_free(role.profile, taken)}]", f"role_arn = {role.role_arn}"]
        if role.assumer_key in bases:
            lines.append(f"source_profile = {bases[role.assumer_key]}")
        lines.append(f"region = {role.region}")
        if role.colour in COLOURS:
            lines.append(f"color = {COLOURS[role.colour]}")
        sections.append(lines)
    return "\n\n".join("\n".join(lines) for lines in sections) + ("\n" if sections else "")


def _free(wanted: str, taken: set[str]) -> str:
    """Return a section's name that no other section has."""
    name, number = wanted, 2
    while name.lower() in taken:
        name, number = f"{wanted}-{number}", number + 1
    taken.add(name.lower())
    return name
