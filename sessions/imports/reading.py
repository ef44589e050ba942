"""Read several files at once: find out what each is, and make one plan of all."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from sessions.imports.aesr import read_aesr
from sessions.imports.aws_config import plan_of_tables
from sessions.imports.aws_sso import read_aws_sso
from sessions.imports.granted import read_registry
from sessions.imports.ini import Section, Unreadable, Value, read_ini
from sessions.imports.leapp import ENCRYPTED, read_workspace
from sessions.imports.plan import Kept, Note, Plan
from sessions.imports.profiles import (
    SECRET_SETTINGS,
    Tables,
    add_config,
    add_credentials,
    header_of,
    named,
)

LARGEST = 1024 * 1024
# Stands for a secret that was in a kept section.
WITHHELD = "withheld"
CONFIG, CREDENTIALS = "aws-config", "aws-credentials"

# Settings that only AESR has; a config file may have aws_account_id beside a key.
_AESR = re.compile(
    r"^[ \t]*(role_name|target_role_name|aws_account_alias|color|image)[ \t]*=", re.M | re.I
)
_SSO_CONFIG = re.compile(r"^SSOConfig[ \t]*:", re.M)
_REGISTRY = re.compile(r"^awsConfig[ \t]*:", re.M)
_KEY = re.compile(r"^[ \t]*aws_access_key_id[ \t]*[=:]", re.M | re.I)
_PREFIXED = re.compile(r"^[ \t]*\[(profile|sso-session)\b", re.M)
_HEADER = re.compile(r"^[ \t]*\[(?!default\])", re.M)


@dataclass(frozen=True, repr=False)
class File:
    """Hold a file that was pasted or uploaded; empty `format`: see what it is.

    Its text may hold secrets, so it does not show itself.
    """

    name: str
    text: str
    format: str = ""

    def __repr__(self) -> str:
        return f"File({self.name!r}, …)"


def read(files: Iterable[File]) -> Plan:
    """Return what files would become. A file that cannot be read is named in `refused`."""
    plan, tables = Plan(), Tables()
    texts: list[tuple[str, File]] = []
    for file in files:
        if len(file.text.encode("utf-8", "surrogatepass")) > LARGEST:
            plan.refused.append(Note(file.name, 0, "The file is larger than 1 MB."))
            continue
        texts.append((file.format or format_of(file), file))
    # The config file first: what the credentials file says wins.
    own = [each for each in texts if each[0] in (CONFIG, CREDENTIALS)]
    for form, file in sorted(own, key=lambda each: each[0] == CREDENTIALS):
        add = add_config if form == CONFIG else add_credentials
        _try(plan, file, partial(_add, add, tables))
    plan.kept = _kept_of(tables)
    plan_of_tables(tables, plan)
    for form, file in texts:
        if form in READERS:
            _try(plan, file, partial(_read_other, READERS[form]))
    return plan


def _add(
    add: Callable[[Tables, Iterable[Section], str], None], tables: Tables, file: File, plan: Plan
) -> None:
    add(tables, read_ini(file.text), file.name)


def _read_other(reader: Callable[[str, str, Plan], None], file: File, plan: Plan) -> None:
    reader(file.text, file.name, plan)


def _try(plan: Plan, file: File, reader: Callable[[File, Plan], None]) -> None:
    try:
        reader(file, plan)
    except Unreadable as error:
        plan.refused.append(Note(file.name, error.line, error.message))


LEAPP, AWS_SSO, AESR, GRANTED = "leapp", "aws-sso", "aesr", "granted-registry"
READERS: dict[str, Callable[[str, str, Plan], None]] = {
    LEAPP: read_workspace,
    AWS_SSO: read_aws_sso,
    AESR: read_aesr,
    GRANTED: read_registry,
}
FORMATS = {
    CONFIG: "AWS config, aws-vault or Granted's",
    CREDENTIALS: "AWS credentials",
    LEAPP: "Leapp or Freeleapp workspace",
    AWS_SSO: "aws-sso-cli",
    AESR: "AWS Extend Switch Roles",
    GRANTED: "Granted registry manifest",
}


def format_of(file: File) -> str:
    """Tell what a file is, by its name and what is in it."""
    begins = file.text.lstrip()[:1]
    if begins in ("{",) or file.text.lstrip().startswith(ENCRYPTED):
        return LEAPP
    if _SSO_CONFIG.search(file.text):
        return AWS_SSO
    if _REGISTRY.search(file.text):
        return GRANTED
    if _AESR.search(file.text) and not _KEY.search(file.text):
        return AESR
    return CREDENTIALS if _is_credentials(file) else CONFIG


def _is_credentials(file: File) -> bool:
    if re.search(r"(^|[./\\])credentials(\.(txt|ini))?$", file.name, re.I):
        return True
    if re.search(r"(^|[./\\])config(\.(txt|ini))?$", file.name, re.I):
        return False
    return bool(
        _KEY.search(file.text) and _HEADER.search(file.text) and not _PREFIXED.search(file.text)
    )


def _kept_of(tables: Tables) -> list[Kept]:
    """Return all sections as one config file has them, in order, without any secret."""
    kept, told = [], set()
    for _, section in tables.sections:
        name = _profile_of(section.header)
        profile = tables.profiles.get(name) if name is not None else None
        is_profile = profile is not None and profile.header == section.header
        values = profile.values if profile is not None and is_profile else section.values
        if profile is not None and is_profile:
            told.add(profile.name)
        kept.append(Kept(section.header, _without_secrets(values)))
    for profile in tables.profiles.values():
        if profile.name not in told:
            kept.append(Kept(header_of(profile.name), _without_secrets(profile.values)))
    return kept


def _profile_of(header: str) -> str | None:
    if header == "default":
        return header
    return named(header) if header.startswith("profile") else None


def _without_secrets(values: Mapping[str, Value]) -> dict[str, str]:
    """Return the settings; of a secret only that it was there."""
    return {
        name: WITHHELD if name in SECRET_SETTINGS else value.text for name, value in values.items()
    }
