"""Write a team's sessions in the formats of other tools; secrets are in none of them."""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from sessions.aws.names import LONGEST_PROFILE
from sessions.imports.aws_config import SOURCES, plan_of_tables
from sessions.imports.ini import Section, Value, write_ini
from sessions.imports.naming import Names, legal_profile
from sessions.imports.plan import (
    AMBIENT,
    CHAINED,
    IAM_USER,
    IDENTITY_CENTER,
    WEB_IDENTITY,
    Item,
    Plan,
)
from sessions.imports.profiles import SECRET_SETTINGS, Tables, add_config, header_of, named

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Team:
    """Hold what is exported: sessions by id, and what was kept of the person's own config files.

    `kept` are sections by header, `became` says which session each of their items is.
    """

    slug: str
    sessions: Mapping[str, Item]
    kept: Sections
    became: Mapping[str, str]

    def chained(self) -> list[Item]:
        """List the chained sessions."""
        return [each for each in self.sessions.values() if each.kind == CHAINED]

    def source_of(self, item: Item) -> Item | None:
        """Return what an item is assumed from."""
        return self.sessions.get(item.source)


# --- ~/.aws/config --------------------------------------------------------------------------------


def write_aws_config(team: Team) -> str:
    """Write profiles: a person's own sections as they were, with what has changed since."""
    sections = {header: dict(values) for header, values in team.kept.items()}
    done, names = _follow_sessions(team, sections)
    for item in team.sessions.values():
        names.setdefault(item.key, "")
    _name_the_others(team, sections, names)
    portals = _portals(sections)
    for item in team.sessions.values():
        if item.key not in done:
            _add_section(team, item, sections, names, portals)
    for values in sections.values():
        for name in SECRET_SETTINGS:
            values.pop(name, None)
    head = "# Chains of a team, from Chainweb. Access keys are not in it: they belong into\n"
    return f"{head}# ~/.aws/credentials.\n\n{write_ini(sections.items())}"


def _follow_sessions(team: Team, sections: Sections) -> tuple[set[str], dict[str, str]]:
    """Bring kept sections up to date.

    Returns the sessions that they are, and {session: its profile's name}.
    """
    plan = _plan_of(sections)
    done: set[str] = set()
    names: dict[str, str] = {}
    gone: set[str] = set()
    for key, session_id in team.became.items():
        item, now = plan.items.get(key), team.sessions.get(session_id)
        if item is None:
            continue
        if now is None:
            gone.add(item.name)
            continue
        done.add(session_id)
        names[session_id] = item.name
    headers = {
        name: header
        for header in sections
        if (name := header if header == "default" else named(header)) is not None
        and (header == "default" or header.startswith("profile"))
    }
    for key, session_id in team.became.items():
        item, now = plan.items.get(key), team.sessions.get(session_id)
        if item is not None and now is not None and item.name in headers:
            _update(team, plan, item, now, sections[headers[item.name]], names)
    for name in gone:
        still = any(names.get(session) == name for session in names)
        if name in headers and not still:
            del sections[headers[name]]
    return done, names


def _plan_of(sections: Sections) -> Plan:
    tables = Tables()
    read = [
        Section(header, 0, {name: Value(text, 0) for name, text in values.items()})
        for header, values in sections.items()
    ]
    add_config(tables, read, "")
    return plan_of_tables(tables)


# Which setting of a profile a field of a session is.
_SETTINGS = {
    "role_arn": "role_arn",
    "external_id": "external_id",
    "role_session_name": "role_session_name",
    "start_url": "sso_start_url",
    "sso_region": "sso_region",
    "account_id": "sso_account_id",
    "role_name": "sso_role_name",
    "token_file": "web_identity_token_file",
    "mfa_serial": "mfa_serial",
}


def _update(
    team: Team,
    plan: Plan,
    then: Item,
    now: Item,
    values: dict[str, str],
    names: Mapping[str, str],
) -> None:
    """Write into a section what a session has otherwise than when it was imported."""
    for field, setting in _SETTINGS.items():
        was, has = then.settings.get(field, ""), now.settings.get(field, "")
        if was == has or (field == "role_session_name" and not has):
            continue
        if field in ("start_url", "sso_region") and "sso_session" in values:
            del values["sso_session"]
            values["sso_start_url"] = now.settings.get("start_url", "")
            values["sso_region"] = now.settings.get("sso_region", "")
            continue
        if has:
            values[setting] = has
        else:
            values.pop(setting, None)
    if then.region and now.region != then.region:
        values["region"] = now.region
    if now.kind != CHAINED:
        return
    source = team.source_of(now)
    before = plan.items.get(then.source)
    if source is not None and before is not None and names.get(source.key) != before.name:
        if before.kind == AMBIENT and source.kind == AMBIENT:
            return
        _set_source(values, source, names)


def _set_source(values: dict[str, str], source: Item, names: Mapping[str, str]) -> None:
    values.pop("source_profile", None)
    values.pop("credential_source", None)
    if source.kind == AMBIENT:
        values["credential_source"] = source.profile if source.profile in SOURCES else SOURCES[0]
    else:
        values["source_profile"] = names.get(source.key) or source.profile


def _name_the_others(team: Team, sections: Sections, names: dict[str, str]) -> None:
    """Give each session a profile of its own, but a root and its only role may share one."""
    taken = Names(LONGEST_PROFILE)
    for header in sections:
        name = header if header == "default" else named(header)
        if name is not None:
            taken.take(name)
    shared: dict[tuple[str, str], str] = {}
    roots_first = sorted(team.sessions.values(), key=lambda each: each.kind == CHAINED)
    for item in roots_first:
        if names.get(item.key) or item.kind == AMBIENT:
            continue
        source = team.source_of(item)
        own = source is not None and source.kind == IAM_USER and source.profile == item.profile
        if own and source is not None and (source.key, item.profile) not in shared:
            # AWS reads key and role of one profile that is its own source.
            shared[(source.key, item.profile)] = item.key
            names[item.key] = names.get(source.key) or item.profile
            continue
        wanted = item.profile or legal_profile(item.name)
        names[item.key] = taken.take(wanted)


def _portals(sections: Sections) -> dict[tuple[str, str], str]:
    return {
        (values.get("sso_start_url", ""), values.get("sso_region", "")): name
        for header, values in sections.items()
        if header.startswith("sso-session") and (name := named(header)) is not None
    }


def _add_section(
    team: Team,
    item: Item,
    sections: Sections,
    names: Mapping[str, str],
    portals: dict[tuple[str, str], str],
) -> None:
    if item.kind == AMBIENT:
        return
    values = sections.setdefault(header_of(names[item.key]), {})
    values["region"] = item.region
    for field, setting in _SETTINGS.items():
        if field in item.settings and not (
            item.kind == IDENTITY_CENTER and field in ("start_url", "sso_region")
        ):
            values[setting] = item.settings[field]
    if item.kind == CHAINED:
        source = team.source_of(item)
        if source is not None:
            _set_source(values, source, names)
            serial = source.settings.get("mfa_serial", "")
            if source.kind == IAM_USER and serial:
                values["mfa_serial"] = serial
    if item.kind == IDENTITY_CENTER:
        place = (item.settings.get("start_url", ""), item.settings.get("sso_region", ""))
        if place not in portals:
            portals[place] = Names(64).take(f"{team.slug}-{len(portals) + 1}")
            sections[f"sso-session {shlex.quote(portals[place])}"] = {
                "sso_start_url": place[0],
                "sso_region": place[1],
                "sso_registration_scopes": "sso:account:access",
            }
        values["sso_session"] = portals[place]


def write_granted(team: Team) -> str:
    """Write the INI of a Granted profile registry: the team's chains, and nobody's own sections."""
    return write_aws_config(Team(team.slug, team.sessions, {}, {}))


# --- others ---------------------------------------------------------------------------------------


def write_leapp(team: Team) -> str:
    """Write Leapp's workspace, in the clear; what is no session of Leapp's kinds is left out."""

    def made_id(*parts: str) -> str:
        return str(uuid5(NAMESPACE_URL, "\n".join(parts)))

    profiles = {each.profile for each in team.sessions.values() if each.profile} | {"default"}
    portals: dict[tuple[str, str], dict[str, Any]] = {}
    sessions = []
    for item in team.sessions.values():
        base = {
            "sessionId": item.key,
            "status": 0,
            "sessionName": item.alias,
            "region": item.region,
            "profileId": made_id("profile", item.profile),
        }
        settings = item.settings
        if item.kind == CHAINED:
            if not _leads_to(team, item, (IAM_USER, IDENTITY_CENTER)):
                continue
            name = settings.get("role_session_name", "assumed-from-leapp")
            more = {
                "type": "awsIamRoleChained",
                "roleArn": settings.get("role_arn", ""),
                "parentSessionId": item.source,
                "roleSessionName": name,
            }
        elif item.kind == IAM_USER:
            more = {"type": "awsIamUser"}
            if settings.get("mfa_serial"):
                more["mfaDevice"] = settings["mfa_serial"]
        elif item.kind == IDENTITY_CENTER and settings.get("account_id"):
            place = (settings.get("start_url", ""), settings.get("sso_region", ""))
            portal = portals.setdefault(
                place,
                {
                    "id": made_id("portal", *place),
                    "alias": place[0],
                    "type": "AWS-SSO",
                    "isOnline": False,
                    "portalUrl": place[0],
                    "region": place[1],
                    "browserOpening": "In-browser",
                },
            )
            arn = f"arn:aws:iam::{settings['account_id']}/{settings['role_name']}"
            more = {
                "type": "awsSsoRole",
                "roleArn": arn.replace("/", ":role/", 1),
                "awsSsoConfigurationId": portal["id"],
            }
        else:
            continue
        sessions.append(base | more)
    workspace = {
        "_workspaceVersion": 7,
        "_sessions": sessions,
        "_profiles": [{"id": made_id("profile", each), "name": each} for each in sorted(profiles)],
        "_awsSsoIntegrations": list(portals.values()),
    }
    return json.dumps(workspace, indent=2, ensure_ascii=False) + "\n"


def _leads_to(team: Team, item: Item, kinds: Iterable[str]) -> bool:
    at: Item | None = item
    for _ in range(32):
        if at is None or at.kind != CHAINED:
            break
        at = team.source_of(at)
    return at is not None and at.kind in kinds


def write_aws_sso(team: Team) -> str:
    """Write SSOConfig of aws-sso-cli: Identity Center roles, and `Via` for what rests on them."""
    portals: dict[tuple[str, str], dict[str, Any]] = {}
    for item in team.sessions.values():
        if item.kind == IDENTITY_CENTER and item.settings.get("account_id"):
            _role_in(portals, item, item, item.settings["account_id"], item.settings["role_name"])
    for item in team.chained():
        root = _root_of(team, item)
        source = team.source_of(item)
        if root is None or root.kind != IDENTITY_CENTER or source is None:
            continue
        _, _, _, _, account, resource = item.settings["role_arn"].split(":", 5)
        role = _role_in(portals, root, item, account, resource.rpartition("/")[2])
        role["Via"] = source.settings.get("role_arn") or (
            f"arn:aws:iam::{source.settings.get('account_id', '')}"
            f":role/{source.settings.get('role_name', '')}"
        )
        if item.settings.get("external_id"):
            role["ExternalId"] = item.settings["external_id"]
    named_portals = {
        "Default" if number == 1 else f"Portal{number}": portal
        for number, portal in enumerate(portals.values(), start=1)
    }
    text = yaml.safe_dump({"SSOConfig": named_portals}, sort_keys=False, allow_unicode=True)
    return str(text)


def _root_of(team: Team, item: Item) -> Item | None:
    at: Item | None = item
    for _ in range(32):
        if at is None or at.kind != CHAINED:
            return at
        at = team.source_of(at)
    return None


def _role_in(
    portals: dict[tuple[str, str], dict[str, Any]], root: Item, item: Item, account: str, role: str
) -> dict[str, Any]:
    place = (root.settings.get("start_url", ""), root.settings.get("sso_region", ""))
    portal = portals.setdefault(
        place, {"SSORegion": place[1], "StartUrl": place[0], "Accounts": {}}
    )
    roles = portal["Accounts"].setdefault(account, {"Roles": {}})["Roles"]
    found: dict[str, Any] = roles.setdefault(role, {})
    found |= {"Profile": item.profile, "DefaultRegion": item.region}
    return found


def write_aesr(team: Team) -> str:
    """Write AESR's INI: each role that is switched to, with the account of its root as the base."""
    sections: Sections = {}
    names = Names(64)
    bases: dict[str, str] = {}
    for item in team.chained():
        root = _root_of(team, item)
        account = root.settings.get("account_id", "") if root is not None else ""
        values = {"role_arn": item.settings["role_arn"], "region": item.region}
        if account:
            if account not in bases:
                bases[account] = names.take(f"base-{account}")
                sections[bases[account]] = {"aws_account_id": account}
            values["source_profile"] = bases[account]
        sections[names.take(item.profile)] = values
    return write_ini(sections.items())


@dataclass(frozen=True)
class Format:
    """Declare a format of an export."""

    label: str
    filename: str
    write: Callable[[Team], str]


FORMATS = {
    "aws-config": Format("AWS config", "config", write_aws_config),
    "granted-registry": Format("Granted registry", "config.ini", write_granted),
    "leapp": Format("Leapp workspace", "leapp-workspace.json", write_leapp),
    "aws-sso": Format("aws-sso-cli", "aws-sso.yaml", write_aws_sso),
    "aesr": Format("AWS Extend Switch Roles", "aesr.ini", write_aesr),
}
ROOTS = (IAM_USER, IDENTITY_CENTER, WEB_IDENTITY, AMBIENT)
