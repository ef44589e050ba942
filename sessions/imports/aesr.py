"""Read the configuration of AWS Extend Switch Roles: base accounts, and the roles to switch to.

https://github.com/tilfinltd/aws-extend-switch-roles

It is no AWS config, though it looks like one: `; …` ends a value, [x] and [profile x] are the same,
and a base is the account that one is signed in to, so it names no credentials.
"""

import re

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.names import LONGEST_PROFILE, InvalidName, partition_of
from sessions.imports.ini import Section, read_ini, short
from sessions.imports.naming import LONGEST_ALIAS, Names, legal_alias, legal_profile
from sessions.imports.plan import CHAINED, Item, Plan

_COMMENT = re.compile(r"\s+[;#].*")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


def read_aesr(text: str, file: str, plan: Plan) -> None:
    """Add the bases and targets of an AESR configuration."""
    sections = {_name(each): each for each in read_ini(text)}
    aliases, profiles = Names(LONGEST_ALIAS), Names(LONGEST_PROFILE)
    keys = {name: plan.free_key(name) for name in sections}
    bases = {_value(each, "source_profile") for each in sections.values()}
    for name, section in sections.items():
        item = Item(keys[name], name, file, section.line)
        item.alias = aliases.take(legal_alias(name))
        item.profile = profiles.take(legal_profile(name))
        item.region = _value(section, "region")
        plan.add(item)
        source = _value(section, "source_profile")
        base = sections.get(source)
        if _is_base(section, is_source=name in bases):
            item.rests_on = "An account that one is signed in to"
            item.refuse(
                section.line,
                "A base account holds no credentials: it is where one is signed in. Choose a"
                " session of your team in its place.",
            )
            continue
        item.kind = CHAINED
        _target(item, section, base)
        if source:
            item.source = keys.get(source, "")
            if base is None:
                item.refuse(
                    section.line_of("source_profile"),
                    f"source_profile names {short(source)}, which is not in the file.",
                )
        else:
            item.source = _anywhere(plan, file)
        if item.region:
            try:
                partition_of(item.region)
            except InvalidName as error:
                item.refuse(section.line_of("region"), str(error), "region")


def _name(section: Section) -> str:
    return re.sub(r"^profile\s+", "", section.header.strip())


def _value(section: Section, name: str) -> str:
    value = section.values.get(name)
    return "" if value is None or value.nested else _COMMENT.sub("", value.text).strip()


def _is_base(section: Section, *, is_source: bool) -> bool:
    """Tell if a section is a base account: one without a role, or with a role as a condition."""
    if _value(section, "source_profile") or _value(section, "role_arn"):
        return False
    has_role = _value(section, "role_name") and not _value(section, "target_role_name")
    return is_source or not has_role


def _target(item: Item, section: Section, base: Section | None) -> None:
    arn, line = _value(section, "role_arn"), section.line_of("role_arn")
    if not arn:
        account = _value(section, "aws_account_id")
        role = _value(section, "role_name") or (_value(base, "target_role_name") if base else "")
        if not _ACCOUNT.fullmatch(account):
            item.refuse(
                section.line_of("aws_account_id"),
                f"aws_account_id is {short(account) or 'missing'}: the 12 digits of the account"
                " are needed, not its alias.",
                "aws_account_id",
            )
            return
        if not role:
            item.refuse(section.line, "role_name is missing.", "role_name")
            return
        arn, line = f"arn:aws:iam::{account}:role/{role}", section.line_of("role_name")
    try:
        item.settings["role_arn"] = str(RoleArn.parse(arn))
    except InvalidArn as error:
        item.refuse(line, str(error), "role_arn")


def _anywhere(plan: Plan, file: str) -> str:
    """Return the key of what stands for whoever is signed in, where no base is named."""
    for item in plan:
        if item.file == file and item.rests_on == "Whoever is signed in":
            return item.key
    item = Item(plan.free_key("signed in"), "signed in", file, 1, rests_on="Whoever is signed in")
    item.refuse(1, "The file names no base account. Choose a session of your team in its place.")
    return plan.add(item).key
