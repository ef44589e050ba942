"""Show what an import would do: row by row new, alike, different or refused, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models.functions import Lower

from sessions.actors import Actor
from sessions.aws.name_template import NameTemplate
from sessions.aws.names import InvalidName, partition_of, regions
from sessions.aws.roots import ROOT_KINDS
from sessions.imports.plan import AMBIENT, CHAINED, IAM_USER, Item, Note, Plan
from sessions.models import AwsSession, TeamPolicy
from sessions.models.sessions import CHAINED_LABEL, load_chains
from sessions.permissions import Action, PermissionChecker, why_not_create

NEW, SAME, DIFFERS, REFUSED = "new", "same", "differs", "refused"
KEY_FIELDS = ("access_key_id", "secret_access_key")


@dataclass(frozen=True)
class Change:
    """Hold one field of a stored session that the file has otherwise."""

    field: str
    was: str
    becomes: str


@dataclass
class Row:
    """Hold an item with what it is compared with."""

    item: Item
    state: str = NEW
    existing: AwsSession | None = None
    values: dict[str, Any] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    problems: list[Note] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    # What has to be typed: the fields of an IAM user's key.
    needs: tuple[str, ...] = ()
    # Another row, or a stored session, that it is assumed from.
    source: "Row | None" = None
    assumer: AwsSession | None = None
    depth: int = 0

    @property
    def key(self) -> str:
        return self.item.key

    @property
    def kind_label(self) -> str:
        """Name the kind in words."""
        if self.item.kind == CHAINED:
            return CHAINED_LABEL
        return ROOT_KINDS[self.item.kind].label if self.item.kind else ""

    @property
    def may_be_chosen(self) -> bool:
        return self.state in (NEW, DIFFERS)

    @property
    def assumer_alias(self) -> str:
        if self.assumer is not None:
            return self.assumer.alias
        return self.source.item.alias if self.source is not None else ""

    def problem(self, message: str, about: str = "") -> None:
        """Add what stands in the way, on the item's line."""
        self.problems.append(Note(self.item.file, self.item.line, message, about))


@dataclass
class Preview:
    """Hold all rows by key, in the order of the files, and what is about none of them."""

    plan: Plan
    rows: dict[str, Row]
    # Items that cannot be imported and that others are assumed from.
    missing: list[Row]

    def in_order(self) -> list[Row]:
        """List the rows, each behind what it is assumed from."""
        return [self.rows[item.key] for item in self.plan.in_order()]

    def usual_choice(self) -> set[str]:
        """Return the keys that are chosen unless somebody says otherwise: all that is new.

        A key that has to be typed is only chosen where something is assumed from it.
        """
        chosen: set[str] = set()
        for row in reversed(self.in_order()):
            wanted = row.state == NEW and (not row.needs or row.key in chosen)
            if wanted and not (row.needs and row.key not in chosen):
                chosen.add(row.key)
            if row.key in chosen and row.source is not None and row.source.state == NEW:
                chosen.add(row.source.key)
        return chosen


def preview(
    plan: Plan, actor: Actor, policy: TeamPolicy, use: Mapping[str, AwsSession] | None = None
) -> Preview:
    """Compare a plan with the team's sessions.

    `use`: stored sessions that stand in for items, by the items' keys.
    """
    use = use or {}
    found = _Stored(actor, plan)
    rows = {item.key: Row(item) for item in plan}
    ordered = [rows[item.key] for item in plan.in_order()]
    for row in ordered:
        row.existing = use.get(row.key) or found.match(row.item)
    rights = PermissionChecker(
        actor, [each.existing.pk for each in ordered if each.existing is not None]
    )
    depths = {
        pk: len(chain) - 1
        for pk, chain in load_chains(
            [each.existing for each in ordered if each.existing is not None], broken=True
        ).items()
    }
    reasons: dict[str, str] = {}
    missing: dict[str, Row] = {}
    for row in ordered:
        _describe(row, actor, policy)
        stands_in = use.get(row.key) or (None if row.item.is_usable else row.existing)
        if stands_in is not None:
            row.existing, row.state, row.depth = stands_in, SAME, depths.get(stands_in.pk, 0)
            if row.item.refusal is not None:
                row.notes.append(row.item.refusal)
            row.notes.append(
                Note(row.item.file, row.item.line, f"Your session “{stands_in.alias}” is used.")
            )
            continue
        if row.item.refusal is not None:
            row.problems.append(row.item.refusal)
        if row.item.kind:
            reason = reasons.get(row.item.kind)
            if reason is None:
                reason = reasons[row.item.kind] = why_not_create(row.item.kind, actor)
            _compare(row, reason, rights)
            _link(row, rows, missing, actor, rights)
            if row.existing is not None:
                row.depth = max(row.depth, depths.get(row.existing.pk, 0))
        if row.problems:
            row.state = REFUSED
    return Preview(plan, rows, list(missing.values()))


class _Stored:
    """Hold the sessions that a plan's items may already be."""

    def __init__(self, actor: Actor, plan: Plan) -> None:
        mine = AwsSession.objects.filter(team=actor.team_id).select_related("link__assumer")
        mine = mine.defer("sealed_secrets")
        aliases = {each.alias.lower() for each in plan if each.alias}
        profiles = {each.profile for each in plan if each.profile}
        by_alias = mine.annotate(lower_alias=Lower("alias")).filter(
            lower_alias__any_of=sorted(aliases)
        )
        self.by_alias = {each.alias.lower(): each for each in by_alias}
        self.by_profile: dict[tuple[str, str], list[AwsSession]] = {}
        for each in mine.filter(profile__any_of=sorted(profiles)):
            self.by_profile.setdefault((each.profile, each.kind), []).append(each)
        self.ambient = (
            mine.filter(kind=AMBIENT).order_by("created_at").first()
            if any(each.kind == AMBIENT for each in plan)
            else None
        )

    def match(self, item: Item) -> AwsSession | None:
        """Find the stored session that an item is: by its alias, or its profile if only one has it.

        The workers' own identity is one, under whatever name.
        """
        found = self.by_alias.get(item.alias.lower())
        if found is not None and (found.kind == item.kind or not item.kind):
            return found
        if item.kind == AMBIENT and self.ambient is not None:
            return self.ambient
        if not item.has_own_profile:
            return found
        same = self.by_profile.get((item.profile, item.kind), [])
        return same[0] if len(same) == 1 else found


def _describe(row: Row, actor: Actor, policy: TeamPolicy) -> None:
    """Fill in the values that the session's form gets."""
    item = row.item
    row.notes = list(item.notes)
    if not item.kind:
        return
    region = item.region
    arn = item.settings.get("role_arn", "")
    partition = arn.split(":")[1] if arn.count(":") > 1 else ""
    partition = partition if partition in regions() else ""
    if not region:
        region = actor.team.default_region
        if partition and _partition(region) != partition:
            region = regions().get(partition, [region])[0]
        row.notes.append(Note(item.file, item.line, f"The file has no region: {region}.", "region"))
    row.values = {"alias": item.alias, "profile": item.profile, "region": region, **item.settings}
    if item.kind != CHAINED:
        if item.kind == IAM_USER:
            has = {*item.settings, *item.secrets}
            row.needs = tuple(name for name in KEY_FIELDS if name not in has)
        return
    name = item.settings.get("role_session_name", "")
    if name and policy.username_demanded and not policy.names_locked:
        template = NameTemplate(name)
        if not template.names_a_person:
            del row.values["role_session_name"]
            row.notes.append(
                Note(
                    item.file,
                    item.line,
                    "role_session_name is not imported: the team's policy requires {username} in"
                    " it. The team's default is used.",
                    "role_session_name",
                )
            )
    if item.tags:
        allowed = policy.allowed_tags
        if all(
            key in allowed and (not allowed[key] or value in allowed[key])
            for key, value in item.tags.items()
        ):
            row.values["tags"] = dict(item.tags)
            row.values["transitive_tag_keys"] = list(item.transitive_tag_keys)
        else:
            row.notes.append(
                Note(
                    item.file,
                    item.line,
                    "Session tags are not imported: the team's policy does not allow them.",
                    "tags",
                )
            )


def _partition(region: str) -> str:
    try:
        return partition_of(region)
    except InvalidName:
        return ""


def _compare(row: Row, reason: str, rights: PermissionChecker) -> None:
    """Compare a row with the session of its name, if there is one."""
    stored = row.existing
    if stored is None:
        if reason:
            row.problem(reason)
        return
    if stored.kind != row.item.kind:
        row.problem(
            f"Your team's session “{stored.alias}” is of another kind:"
            f" {stored.get_kind_display()}. Rename one of the two."
        )
        return
    row.state = SAME
    row.needs = ()
    # What the team already calls it stays.
    row.values["alias"] = stored.alias
    was = _values_of(stored)
    for name, value in row.values.items():
        if (was.get(name) or "") != (value or ""):
            row.changes.append(Change(name, _shown(was.get(name)), _shown(value)))
    if any(each.field == "access_key_id" for each in row.changes) and not row.item.secrets:
        row.needs = ("secret_access_key",)
    if row.changes:
        row.state = DIFFERS
        if not rights.can(Action.EDIT, stored):
            row.state = SAME
            row.notes.append(
                Note(
                    row.item.file,
                    row.item.line,
                    "It differs from your team's, which only its creator or an admin may change.",
                )
            )


def _values_of(session: AwsSession) -> dict[str, Any]:
    values: dict[str, Any] = {"profile": session.profile, "region": session.region}
    values["alias"] = session.alias
    if session.is_chained:
        typed: dict[str, Any] = session.link.settings.typed()
        return values | typed
    return {**values, **session.settings}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value or "")


def _link(
    row: Row,
    rows: Mapping[str, Row],
    missing: dict[str, Row],
    actor: Actor,
    rights: PermissionChecker,
) -> None:
    """Find what a chained row is assumed from."""
    if row.item.kind != CHAINED:
        return
    source = rows.get(row.item.source)
    if source is None:
        return
    row.source = source
    if source.state in (SAME, DIFFERS) and source.existing is not None:
        row.assumer = source.existing
        if not rights.can(Action.USE_AS_ASSUMER, source.existing):
            row.problem(f"You may not assume roles from “{source.existing.alias}”.", "assumer")
    elif source.state == REFUSED:
        if source.source is None or source.source.state != REFUSED:
            missing[source.key] = source
        row.problem(
            f"It is assumed from “{source.item.name}”, which is not imported. Choose a session of"
            " your team to assume it from.",
            "assumer",
        )
    row.depth = source.depth + 1
    if row.depth > actor.team.max_depth:
        row.problem(
            f"This would be a chain of {row.depth} AssumeRole calls; the team's limit is"
            f" {actor.team.max_depth}.",
            "assumer",
        )
    if (
        row.existing is not None
        and row.state in (SAME, DIFFERS)
        and row.existing.link.assumer_id != (row.assumer.pk if row.assumer else None)
        and not row.problems
    ):
        if rights.can(Action.EDIT, row.existing):
            row.state = DIFFERS
        row.changes.append(Change("assumer", row.existing.link.assumer.alias, row.assumer_alias))


def usable_assumers(actor: Actor, most: int = 100) -> Iterable[AwsSession]:
    """List roots of the team that the actor may assume from, to stand in for what a file lacks."""
    found = list(AwsSession.objects.filter(team=actor.team_id).exclude(kind=CHAINED)[:most])
    rights = PermissionChecker(actor, [each.pk for each in found])
    return [each for each in found if rights.can(Action.USE_AS_ASSUMER, each)]
