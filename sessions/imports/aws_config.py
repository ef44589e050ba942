"""Turn profiles into items: which root, which role, assumed from what."""

import re
from collections.abc import Callable, Mapping

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.characters import shown
from sessions.aws.names import (
    LONGEST_PROFILE,
    InvalidName,
    validate_external_id,
    validate_role_session_name,
)
from sessions.imports.ini import short
from sessions.imports.naming import LONGEST_ALIAS, Names, legal_alias, legal_profile
from sessions.imports.plan import (
    AMBIENT,
    CHAINED,
    IAM_USER,
    Item,
    Note,
    Plan,
    refuse_circles,
)
from sessions.imports.profiles import Profile, Tables, include_profiles
from sessions.imports.roots import fill_root, root_kind_of
from sessions.imports.settling import settle

SOURCES = ("Ec2InstanceMetadata", "EcsContainer", "Environment")
KEY_SUFFIX = " key"
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\$\{.*?\}")


def plan_of_tables(tables: Tables, plan: Plan | None = None) -> Plan:
    """Return what the profiles of these files would become."""
    plan = plan if plan is not None else Plan()
    _Planner(tables, plan).run()
    return plan


class _Planner:
    """Hold what is needed while profiles become items."""

    def __init__(self, tables: Tables, plan: Plan) -> None:
        self.tables, self.plan = tables, plan
        self.aliases, self.profiles = Names(LONGEST_ALIAS), Names(LONGEST_PROFILE)
        self.lines: dict[str, int] = {}
        # The keys of items that are no profile: a profile's access key, the machine's own role.
        self.keys_of: dict[str, str] = {}
        self.machines: dict[str, str] = {}
        self.legal: dict[str, str] = {}
        self.sourced: set[str] = set()

    def run(self) -> None:
        tables, plan = self.tables, self.plan
        plan.remarks += tables.remarks
        includes = include_profiles(tables)
        for profile in tables.profiles.values():
            if _is_role(profile) or profile.text("source_profile") == profile.name:
                self.sourced.add(profile.text("source_profile"))
        # Who has a legal name keeps it, whoever else would get the same.
        self.legal = {
            name: self.profiles.take(name)
            for name in tables.profiles
            if legal_profile(name) == name
        }
        for profile in tables.profiles.values():
            self._items_of(profile, includes.get(profile.name))
        for section, name, note in tables.ignored:
            key = plan.free_key(f"[{section.header}]")
            plan.add(Item(key, name, note.file, note.line, refusal=note))
        self._link()
        refuse_circles(plan, self.lines)
        self._refuse_returns_to_own_key()
        settle(plan, tables, self.lines)

    # --- items ------------------------------------------------------------------------------------

    def _items_of(self, profile: Profile, include: Note | None) -> None:
        alias = self.aliases.take(legal_alias(profile.name))
        name = self.legal.get(profile.name) or self.profiles.take(legal_profile(profile.name))
        own = Item(profile.name, profile.name, profile.file, profile.line, alias=alias)
        own.profile, own.region = name, profile.text("region")
        if name != profile.name:
            own.note(profile.line, f"The profile is called {name}: AWS SDKs read no other name.")
        if alias != profile.name:
            own.note(profile.line, f"The alias is “{alias}”.")
        self.plan.add(own)
        if include is not None:
            own.refuse(include.line, include.message, include.field)
        if not _is_role(profile):
            self._root(own, profile)
            return
        self._role(own, profile)
        if not (profile.has("aws_access_key_id", "aws_secret_access_key") or self._is_own(profile)):
            return
        if profile.name not in self.sourced:
            own.note(
                profile.line_of("aws_access_key_id"),
                "The access key of this profile is not used: AWS assumes the role from"
                " source_profile.",
            )
            return
        self.keys_of[profile.name] = self.plan.free_key(
            f"{profile.name}{KEY_SUFFIX}", self.tables.profiles
        )
        key = Item(self.keys_of[profile.name], profile.name, profile.file, profile.line, IAM_USER)
        key.alias = self.aliases.take(f"{alias[: LONGEST_ALIAS - len(KEY_SUFFIX)]}{KEY_SUFFIX}")
        key.profile, key.region = name, own.region
        fill_root(key, profile)
        own.note(profile.line, f"Key and role under one name: the key becomes “{key.alias}”.")
        self.plan.add(key)

    def _is_own(self, profile: Profile) -> bool:
        return profile.text("source_profile") == profile.name

    def _root(self, item: Item, profile: Profile) -> None:
        item.kind, item.rests_on = root_kind_of(profile, is_source=profile.name in self.sourced)
        if item.kind:
            fill_root(item, profile, self.tables.sso_sessions)
            return
        if item.rests_on:
            because = f"{item.rests_on} cannot be imported."
            line = next(
                (profile.line_of(each) for each in _NO_IMPORT if profile.has(each)), profile.line
            )
            item.refuse(line, because)
        elif profile.has("source_profile"):
            item.refuse(
                profile.line_of("source_profile"),
                "source_profile without role_arn: AWS tools get no credentials from it.",
                "source_profile",
            )
        else:
            item.refuse(profile.line, "The profile has settings alone, and no credentials.")

    def _role(self, item: Item, profile: Profile) -> None:
        item.kind = CHAINED
        arn = profile.text("role_arn")
        try:
            item.settings["role_arn"] = str(RoleArn.parse(arn))
        except InvalidArn as error:
            said = str(error) if arn else "role_arn is empty."
            item.refuse(profile.line_of("role_arn"), said, "role_arn")
        _optional(item, profile, "external_id", validate_external_id)
        name = profile.text("role_session_name")
        if _TEMPLATE.search(name):
            item.note(
                profile.line_of("role_session_name"),
                "role_session_name is a placeholder: the team's default is used.",
                "role_session_name",
            )
        else:
            _optional(item, profile, "role_session_name", validate_role_session_name)
        _say_dropped(item, profile)
        _tags(item, profile)

    # --- links ------------------------------------------------------------------------------------

    def _link(self) -> None:
        for profile in self.tables.profiles.values():
            item = self.plan.items[profile.name]
            if item.kind != CHAINED:
                continue
            source, named = profile.text("source_profile"), profile.text("credential_source")
            self.lines[item.key] = profile.line_of("source_profile")
            if profile.has("source_profile") and profile.has("credential_source"):
                item.refuse(
                    profile.line_of("credential_source"),
                    "source_profile and credential_source are both there: AWS takes one.",
                    "credential_source",
                )
            elif named:
                self._link_to_machine(item, profile, named)
            elif not source:
                item.refuse(
                    profile.line_of("role_arn"),
                    "role_arn needs source_profile or credential_source beside it.",
                    "source_profile",
                )
            elif source not in self.tables.profiles:
                item.rests_on = f"profile {short(source)}"
                item.source = source
                item.refuse(
                    profile.line_of("source_profile"),
                    f"source_profile names {short(source)}, which is not in the file.",
                    "source_profile",
                )
            else:
                item.source = self.keys_of.get(source, source)

    def _link_to_machine(self, item: Item, profile: Profile, named: str) -> None:
        line = profile.line_of("credential_source")
        if named not in SOURCES:
            item.refuse(
                line,
                f"There is no credential_source {shown(named)}: AWS knows {', '.join(SOURCES)}.",
                "credential_source",
            )
            return
        if named not in self.machines:
            self.machines[named] = self.plan.free_key(f"credential_source {named}")
            root = Item(
                self.machines[named], named, profile.file, line, AMBIENT, region=item.region
            )
            root.alias, root.profile = self.aliases.take(named), self.profiles.take(named)
            root.note(line, "The workers' own AWS identity stands for that of the machine.")
            self.plan.add(root)
        item.source = self.machines[named]

    def _refuse_returns_to_own_key(self) -> None:
        """Refuse a role whose chain comes back to its own profile's key.

        AWS tools take that for a circle, unless the profile is its own `source_profile`.
        """
        for name in self.sourced:
            key = self.plan.items.get(self.keys_of.get(name, ""))
            own = self.plan.items.get(name)
            if key is None or own is None or own.source == key.key:
                continue
            seen: set[str] = set()
            at: Item | None = own
            while at is not None and at.key not in seen and len(seen) < 64:
                seen.add(at.key)
                at = self.plan.items.get(at.source)
            if key.key in seen:
                own.refuse(
                    self.lines.get(name, own.line),
                    "The chain comes back to this profile: AWS tools take that for a circle.",
                    "source_profile",
                )


_NO_IMPORT = ("login_session", "credential_process")


def _is_role(profile: Profile) -> bool:
    return profile.has("role_arn") and not profile.has("web_identity_token_file")


def _optional(item: Item, profile: Profile, name: str, check: Callable[[str], str]) -> None:
    text = profile.text(name)
    if not text:
        return
    try:
        item.settings[name] = check(text)
    except InvalidName as error:
        item.note(
            profile.line_of(name), f"{name} is not imported: {error} Set it at the session.", name
        )


def _say_dropped(item: Item, profile: Profile) -> None:
    said: Mapping[str, str] = {
        "duration_seconds": "duration_seconds is dropped: every hop is issued for one hour.",
        "source_identity": "source_identity is dropped: the team's policy decides what is sent.",
        "mfa_process": "mfa_process is dropped: its command is never run.",
    }
    for name, message in said.items():
        if profile.has(name):
            item.note(profile.line_of(name), message, name)


def _tags(item: Item, profile: Profile) -> None:
    pairs = (each.partition("=") for each in profile.text("session_tags").split(",") if each)
    item.tags = {key.strip(): value.strip() for key, _, value in pairs if key.strip()}
    keys = (each.strip() for each in profile.text("transitive_session_tags").split(","))
    item.transitive_tag_keys = tuple(dict.fromkeys(each for each in keys if each in item.tags))
