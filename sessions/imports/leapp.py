"""Read the workspace file of Leapp and Freeleapp, decrypted and stripped on its own machine.

On disk the file is encrypted as crypto-js does it: AES-256-CBC under a key and IV that MD5 derives
from a passphrase, base64 of "Salted__", salt and ciphertext. The passphrase is the machine's id,
hashed; that is OpenSSL's own old format. Keys of IAM users are in the machine's keychain, not here.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.names import (
    LONGEST_PROFILE,
    InvalidName,
    partition_of,
    regions,
    validate_external_id,
    validate_role_session_name,
)
from sessions.aws.roots import ROOT_KINDS
from sessions.imports.ini import Unreadable, short
from sessions.imports.naming import LONGEST_ALIAS, Names, legal_alias, legal_profile
from sessions.imports.plan import CHAINED, IAM_USER, IDENTITY_CENTER, Item, Plan, refuse_circles
from sessions.imports.roots import why_not_mfa

# What Leapp calls a hop unless a person types a name: it names nobody.
DEFAULT_NAME = "assumed-from-leapp"
_STRIP = (
    'import json,sys; w=json.load(sys.stdin); k=["_sessions","_profiles","_awsSsoIntegrations",'
    '"_defaultRegion","_workspaceVersion"]; s=["sessionId","type","sessionName","region","roleArn",'
    '"profileId","parentSessionId","roleSessionName","mfaDevice","awsSsoConfigurationId",'
    '"externalId"]; o={x:w[x] for x in k if x in w}; o["_sessions"]=[{y:e[y] for y in s if y in e}'
    ' for e in o.get("_sessions",[])]; o["_awsSsoIntegrations"]=[{y:e[y] for y in'
    ' ["id","alias","portalUrl","region"] if y in e} for e in o.get("_awsSsoIntegrations",[])];'
    " json.dump(o,sys.stdout,indent=1)"
)
_DECRYPT = """\
for f in ~/.Leapp/Leapp-lock.json ~/.freeleapp/freeleapp-lock.json; do
  [ -f "$f" ] && for k in "$(printf %s "$id" | {sha} | cut -d' ' -f1)" "$id"; do
    LEAPP_KEY=$k openssl enc -d -aes-256-cbc -md md5 -a -A -in "$f" \\
      -pass env:LEAPP_KEY 2>/dev/null |
      {python} -c '{strip}' \\
      2>/dev/null > leapp-export.json && [ -s leapp-export.json ] && break 2
  done
done; ls -l leapp-export.json"""


@dataclass(frozen=True)
class Command:
    """Hold the command that decrypts and strips a workspace file on one kind of system."""

    label: str
    text: str


def _command(label: str, machine_id: str, sha: str, python: str) -> Command:
    script = _DECRYPT.format(sha=sha, python=python, strip=_STRIP)
    return Command(label, f"id=$({machine_id})\n{script}\n")


DECRYPT_COMMANDS = (
    _command(
        "Linux",
        "{ cat /var/lib/dbus/machine-id /etc/machine-id 2>/dev/null || hostname; } |"
        " head -n 1 | tr -d '[:space:]' | tr A-Z a-z",
        "sha256sum",
        "python3",
    ),
    _command(
        "macOS",
        "ioreg -rd1 -c IOPlatformExpertDevice | sed -n 's/.*IOPlatformUUID. = //p' |"
        " tr -d '\"[:space:]' | tr A-Z a-z",
        "shasum -a 256",
        "python3",
    ),
    _command(
        "Windows (Git Bash)",
        "MSYS_NO_PATHCONV=1 reg query 'HKLM\\SOFTWARE\\Microsoft\\Cryptography' /v MachineGuid |"
        " sed -n 's/.*REG_SZ//p' | tr -d '[:space:]' | tr A-Z a-z",
        "sha256sum",
        "python",
    ),
)
ENCRYPTED = "U2FsdGVkX1"  # base64 of "Salted__"
_SESSION_ID = re.compile(r'"sessionId"\s*:\s*"([^"\\]{0,100})"')


def load_json(text: str) -> Any:
    """Read JSON. Raises `Unreadable` with the line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(error.lineno, f"This is no JSON: {error.msg}.") from None
    except (RecursionError, ValueError):
        raise Unreadable(1, "The JSON is nested too deeply, or has a number too large.") from None


def read_workspace(text: str, file: str, plan: Plan) -> None:
    """Add what the sessions of a workspace would become."""
    if text.lstrip().startswith(ENCRYPTED):
        raise Unreadable(
            1,
            "The file is encrypted for its machine. Run the command under “From Leapp” there, and"
            " import what it writes.",
        )
    workspace = load_json(text.lstrip("\ufeff"))
    if not isinstance(workspace, dict) or not isinstance(workspace.get("_sessions"), list):
        raise Unreadable(1, "This is no workspace of Leapp: it has no list “_sessions”.")
    _Workspace(workspace, text, file, plan).run()


class _Workspace:
    """Hold a workspace while its sessions become items."""

    def __init__(self, workspace: dict[str, Any], text: str, file: str, plan: Plan) -> None:
        self.file, self.plan = file, plan
        self.sessions = [each for each in workspace["_sessions"] if isinstance(each, dict)]
        self.profiles = _by_id(workspace.get("_profiles"))
        self.portals = _by_id(workspace.get("_awsSsoIntegrations"))
        self.region = _text(workspace, "_defaultRegion")
        self.lines = _lines_of_ids(text)
        self.aliases = Names(LONGEST_ALIAS)
        self.keys: dict[str, str] = {}
        self.sources: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        for session in self.sessions:
            self._add(session)
        for key, session in self.sources.items():
            item, parent = self.plan.items[key], _text(session, "parentSessionId")
            item.source = self.keys.get(parent, "")
            if not item.source:
                item.refuse(item.line, "Its parent session is not in the file.", "parentSessionId")
        refuse_circles(self.plan, {key: self.plan.items[key].line for key in self.sources})

    def _add(self, session: dict[str, Any]) -> None:
        own_id = _text(session, "sessionId")
        name = _text(session, "sessionName") or own_id or "session"
        item = Item(self.plan.free_key(name), name, self.file, self.lines.get(own_id, 1))
        item.alias = self.aliases.take(legal_alias(name))
        profile = _text(self.profiles.get(_text(session, "profileId"), {}), "name") or name
        item.profile = legal_profile(profile)[:LONGEST_PROFILE]
        item.region = _text(session, "region") or self.region
        item.has_own_profile = False
        self.plan.add(item)
        if own_id:
            self.keys.setdefault(own_id, item.key)
        if item.alias != name:
            item.note(item.line, f"The alias is “{item.alias}”.")
        match _text(session, "type"):
            case "awsIamUser":
                self._iam_user(item, session)
            case "awsIamRoleChained":
                self._chained(item, session)
                self.sources[item.key] = session
            case "awsSsoRole":
                self._identity_center(item, session)
            case "awsIamRoleFederated":
                item.rests_on = "A SAML federated role"
                item.refuse(item.line, "A SAML federated role cannot be imported.", "type")
            case other:
                item.refuse(
                    item.line, f"A session of the type “{short(other)}” is not imported.", "type"
                )
        if item.kind:
            _check_region(item)

    def _iam_user(self, item: Item, session: dict[str, Any]) -> None:
        item.kind = IAM_USER
        serial = _text(session, "mfaDevice")
        if serial and (why := why_not_mfa(serial)):
            item.refuse(item.line, why, "mfaDevice")
        elif serial:
            item.settings["mfa_serial"] = serial
        item.note(item.line, "Leapp keeps the key in your keychain: enter it.")

    def _chained(self, item: Item, session: dict[str, Any]) -> None:
        item.kind = CHAINED
        try:
            item.settings["role_arn"] = str(RoleArn.parse(_text(session, "roleArn")))
        except InvalidArn as error:
            item.refuse(item.line, str(error), "roleArn")
        name = _text(session, "roleSessionName")
        if name == DEFAULT_NAME:
            item.note(item.line, f"{DEFAULT_NAME} names nobody: the team's default is used.")
        elif name:
            _take(item, "role_session_name", name, validate_role_session_name)
        if external_id := _text(session, "externalId"):
            _take(item, "external_id", external_id, validate_external_id)

    def _identity_center(self, item: Item, session: dict[str, Any]) -> None:
        item.kind = IDENTITY_CENTER
        portal = self.portals.get(_text(session, "awsSsoConfigurationId"), {})
        _, _, rest = _text(session, "roleArn").partition("::")
        account, _, role = rest.partition(":role/")
        item.settings = {
            "start_url": _text(portal, "portalUrl"),
            "sso_region": _text(portal, "region"),
            "account_id": account,
            "role_name": role.rpartition("/")[2],
        }
        if not portal:
            item.refuse(
                item.line, "Its Identity Center is not in the file.", "awsSsoConfigurationId"
            )
        check_root(item)


def check_root(item: Item) -> None:
    """Run the checks of a root kind's own form over an item's settings."""
    for spec in ROOT_KINDS[item.kind].fields:
        value = item.settings.get(spec.name, "")
        if not value:
            item.settings.pop(spec.name, None)
            if spec.required and not spec.secret and item.kind != IAM_USER:
                item.refuse(item.line, f"{spec.label} is missing.", spec.name)
            continue
        try:
            item.settings[spec.name] = spec.validate(value) if spec.validate else value
        except ValueError as error:
            item.refuse(item.line, f"{spec.label}: {error}", spec.name)


def _check_region(item: Item) -> None:
    arn = item.settings.get("role_arn", "")
    partition = arn.split(":")[1] if arn.count(":") > 1 else ""
    try:
        home = partition_of(item.region) if item.region else ""
    except InvalidName as error:
        item.refuse(item.line, str(error), "region")
        return
    if partition and home and home != partition:
        item.region = regions()[partition][0]
        item.note(item.line, f"Its region is {item.region}, of the role's partition.", "region")


def _take(item: Item, name: str, value: str, check: Any) -> None:
    try:
        item.settings[name] = check(value)
    except InvalidName as error:
        item.note(item.line, f"{name} is not imported: {error} Set it at the session.", name)


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value.strip() if isinstance(value, str) else ""


def _by_id(listed: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(listed, list):
        return {}
    return {_text(each, "id"): each for each in listed if isinstance(each, dict)}


def _lines_of_ids(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    line, at = 1, 0
    for match in _SESSION_ID.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        found.setdefault(match[1], line)
    return found
