"""Settle what several items say together: MFA devices, regions, and what is worth a remark."""

import re
from collections.abc import Mapping

from sessions.aws.names import InvalidName, partition_of, regions
from sessions.imports.ini import short
from sessions.imports.plan import CHAINED, IAM_USER, IDENTITY_CENTER, Item, Plan
from sessions.imports.profiles import Profile, Tables
from sessions.imports.roots import why_not_mfa

# Words by which people tell environments apart: a chain from one to another is worth a look.
_ENVIRONMENTS = {
    "prod": "production",
    "prd": "production",
    "production": "production",
    "live": "production",
    "stg": "staging",
    "stage": "staging",
    "staging": "staging",
    "dev": "development",
    "develop": "development",
    "development": "development",
    "test": "test",
    "tst": "test",
    "qa": "test",
}


def settle(plan: Plan, tables: Tables, lines: Mapping[str, int]) -> None:
    """Settle the items of profiles; `lines` says where each names what it is assumed from."""
    _share_mfa(plan, tables, lines)
    _settle_regions(plan, tables, lines)
    _remark(plan, tables, lines)


def _share_mfa(plan: Plan, tables: Tables, lines: Mapping[str, int]) -> None:
    for profile in tables.profiles.values():
        item = plan.items[profile.name]
        serial = profile.text("mfa_serial")
        if item.kind != CHAINED or not serial:
            continue
        line = profile.line_of("mfa_serial")
        root = plan.items.get(item.source)
        if why := why_not_mfa(serial):
            item.refuse(line, why, "mfa_serial")
        elif root is None or root.kind != IAM_USER:
            item.note(
                line,
                "mfa_serial is dropped: only an IAM user's call takes a code.",
                "mfa_serial",
            )
        elif (has := root.settings.get("mfa_serial")) and has != serial:
            item.note(
                line,
                f"mfa_serial is dropped: “{root.alias}” asks for the code of {short(has)}.",
                "mfa_serial",
            )
        elif not has:
            root.settings["mfa_serial"] = serial
            root.note(root.line, f"Its MFA device is that of “{item.alias}”, line {line}.")


def _settle_regions(plan: Plan, tables: Tables, lines: Mapping[str, int]) -> None:
    """Give items without a region that of [default], in the partition of their roles."""
    default = tables.profiles.get("default")
    wanted = default.text("region") if default else ""
    partitions: dict[str, str] = {}
    for item in plan:
        arn = item.settings.get("role_arn", "").split(":")
        if len(arn) > 1 and arn[1] in regions():
            partitions[item.key] = arn[1]
    for item in reversed(plan.in_order()):
        if item.key in partitions and item.source:
            partitions.setdefault(item.source, partitions[item.key])
    for item in plan:
        if item.kind:
            _settle_region(
                item, partitions.get(item.key, ""), wanted, tables.profiles.get(item.name)
            )


def _settle_region(item: Item, partition: str, wanted: str, profile: Profile | None) -> None:
    line = profile.line_of("region") if profile else item.line
    if item.region:
        try:
            home = partition_of(item.region)
        except InvalidName as error:
            item.refuse(line, str(error), "region")
            return
        if partition and home != partition and item.kind == CHAINED:
            item.refuse(line, f"{short(item.region)} is not a region of {partition}.", "region")
        elif partition and home != partition:
            item.region = regions()[partition][0]
        return
    item.region = default_region(wanted, partition)
    if item.region and item.kind:
        origin = "[default]" if item.region == wanted else f"partition {partition}"
        item.note(line, f"Without a region of its own it gets {item.region}, of {origin}.")


def _remark(plan: Plan, tables: Tables, lines: Mapping[str, int]) -> None:
    seen: dict[tuple[str, ...], Item] = {}
    for item in plan:
        settings = item.settings
        if item.kind == IDENTITY_CENTER and settings.get("account_id"):
            pair = tuple(
                settings.get(each, "") for each in ("start_url", "account_id", "role_name")
            )
            first = seen.setdefault(pair, item)
            if first is not item:
                item.note(item.line, f"Account and role are those of “{first.alias}”, too.")
        source = plan.items.get(item.source)
        if source is not None and (here := _environment(item.name)):
            there = _environment(source.name)
            if there and there != here:
                item.note(
                    lines.get(item.key, item.line),
                    f"A {here} profile rests on one of {there}: check that this is meant.",
                    "source_profile",
                )


def _environment(name: str) -> str:
    words = re.split(r"[^a-z]+", name.lower())
    return next((_ENVIRONMENTS[each] for each in words if each in _ENVIRONMENTS), "")


def default_region(wanted: str, partition: str) -> str:
    """Return the region that stands in for a missing one; empty where the team's does."""
    try:
        home = partition_of(wanted) if wanted else ""
    except InvalidName:
        home = ""
    if home and (not partition or home == partition):
        return wanted
    if partition and partition != "aws":
        known = regions().get(partition, [])
        return known[0] if known else ""
    return ""
