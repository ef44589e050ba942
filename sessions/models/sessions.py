"""Store sessions, and the links that make chains of them."""

import uuid
from collections.abc import Iterable
from functools import cache, cached_property
from typing import Any

from django.db import models
from django.db.models.functions import Lower

from sessions.aws.hop_settings import HopSettings
from sessions.aws.parameters import parameters_of
from sessions.aws.readable import alone
from sessions.aws.roots import ROOT_KINDS
from sessions.db.lookups import RoleKey
from sessions.exceptions import NotThere
from sessions.models.deletions import Deletion
from sessions.models.forest import above, below, height_below
from sessions.models.labels import Label, SessionLabel, in_order
from sessions.models.people import Team, User
from sessions.sealing import SealContext

CHAINED = "iam-role-chained"
LONGEST_HANDLE = 32
CHAINED_LABEL = "AWS IAM Role Chained"


def kind_choices() -> list[tuple[str, str]]:
    """List the chained kind and every registered root kind.

    A callable, so that a new kind needs no migration.
    """
    return [(CHAINED, CHAINED_LABEL), *((kind.kind, kind.label) for kind in ROOT_KINDS.values())]


class AwsSession(models.Model):
    """Store an AWS identity of the team: assumed through a link, or a root to assume from.

    `settings` is what a root kind shows, `sealed_secrets` what it hides: a JSON object sealed to
    the workers' key, bound to `secret_version`, which goes up with every change of the secrets.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Null once it is deleted and not yet cleared away; `deletion` then says whose it was. See
    # `catalog.deletions`.
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, related_name="aws_sessions")
    deletion = models.ForeignKey(
        Deletion,
        on_delete=models.CASCADE,
        null=True,
        db_index=False,
        editable=False,
        related_name="+",
    )
    kind = models.CharField(max_length=40, choices=kind_choices)
    alias = models.CharField(max_length=64)
    # As names in CloudTrail show it, in lower case; empty where it is longer than any handle, null:
    # not worked out yet.
    shown_alias = models.CharField(max_length=32, null=True, editable=False)  # noqa: DJ001  (null has a meaning)
    profile = models.CharField("named profile", max_length=128)
    region = models.CharField(max_length=32)
    sts_region = models.CharField(
        "where a root's chains call STS, if not at its region", max_length=32, blank=True
    )
    settings = models.JSONField(default=dict, blank=True)
    sealed_secrets = models.BinaryField(null=True)
    secret_version = models.PositiveIntegerField(default=0)
    identity_arn = models.CharField(
        "who a root said it is, when last tested", max_length=2048, blank=True
    )
    # Goes up with every edit that may have made a root somebody else at AWS; see `chains.identity`.
    identity_version = models.PositiveIntegerField(db_default=0, default=0)
    # Open to everyone of the team, or only to those whom a SessionGrant names.
    open_to_start = models.BooleanField("everyone may start it", default=True)
    open_to_assume = models.BooleanField("everyone may assume from it", default=True)
    # Each delivery of a sensitive session wants a fresh confirmation; see `permissions.sensitive`.
    # It is so by its own mark or by one of its labels: `is_sensitive` is kept right by whoever
    # changes either, so that a reader needs no join.
    marked_sensitive = models.BooleanField(default=False, db_default=False)
    is_sensitive = models.BooleanField(default=False, db_default=False, editable=False)
    labels = models.ManyToManyField(Label, through=SessionLabel, related_name="sessions")
    # Each goes up with every change that people see: of the session itself, and of whom it is open
    # to. See `locks.versions`.
    version = models.PositiveIntegerField(default=1, db_default=1)
    access_version = models.PositiveIntegerField(default=1, db_default=1)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    link: "AssumerLink"
    dependant_links: "models.Manager[AssumerLink]"

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("alias"), "team", name="alias_is_unique_in_team"),
            models.CheckConstraint(
                condition=models.Q(team__isnull=False, deletion=None)
                | models.Q(team=None, deletion__isnull=False),
                name="a_session_has_a_team_or_is_deleted",
            ),
        ]
        indexes = [
            models.Index("team", Lower("alias"), "id", name="session_by_alias"),
            models.Index(fields=["team", "profile"], name="session_by_profile"),
            models.Index(fields=["shown_alias"], name="session_by_shown_alias"),
            models.Index(
                fields=["team"], name="session_closed", condition=models.Q(open_to_assume=False)
            ),
            models.Index(fields=["team"], name="session_root", condition=~models.Q(kind=CHAINED)),
            models.Index(
                fields=["deletion"],
                name="session_deleted",
                condition=models.Q(deletion__isnull=False),
            ),
        ]
        ordering = ["alias"]

    def __str__(self) -> str:
        return self.alias

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it, and how names show its alias."""
        self.shown_alias = shown_alias(self.alias)
        fields = kwargs.get("update_fields")
        if fields is not None and "alias" in fields:
            kwargs["update_fields"] = {*fields, "shown_alias"}
        super().save(*args, **kwargs)

    @cached_property
    def labels_shown(self) -> list[Label]:
        """List its labels by name; `load_labels` loads them for many sessions at once."""
        return in_order(self.labels.all())

    @property
    def is_chained(self) -> bool:
        return self.kind == CHAINED

    @property
    def sts_home(self) -> str:
        """Name the region at whose STS a root and all of its chains are called."""
        return self.sts_region or self.region

    @property
    def account(self) -> str:
        """Return the account a root calls from, by its identity or settings.

        Empty while unknown.
        """
        parts = self.identity_arn.split(":")
        return parts[4] if len(parts) > 5 else ROOT_KINDS[self.kind].account(self.settings)

    @property
    def seal_context(self) -> SealContext:
        """Return where its secrets are sealed for."""
        return SealContext(
            "chains_awssession",
            "sealed_secrets",
            str(self.pk),
            str(self.team_id),
            self.secret_version,
        )

    def chain(self) -> list["AwsSession"]:
        """Return the sessions from the root to this one.

        Raises an error on a table with a cycle.
        """
        return load_chains([self])[self.pk]

    def depth(self) -> int:
        """Count the AssumeRole calls from the root to this session: 0 for a root."""
        return len(self.chain()) - 1

    def height(self) -> int:
        """Count the hops of the longest chain that begins under this session.

        0 if nothing is assumed from it.
        """
        return height_below(self.pk)

    def with_dependants(self) -> "models.QuerySet[AwsSession]":
        """Select this session and everything assumed from it, at all levels."""
        return AwsSession.objects.filter(
            pk__in=below(AwsSession.objects.filter(pk=self.pk).values("pk"))
        )

    def dependants(self, most: int | None = None) -> list[tuple["AwsSession", int]]:
        """List the sessions assumed from this one, in tree order.

        Directly (level 1) or through others.

        At most so many, the nearest: one query a level, whatever else is below.
        """
        children: dict[uuid.UUID, list[AwsSession]] = {}
        seen = parents = {self.pk}
        while parents and (most is None or len(seen) <= most):
            links = AssumerLink.objects.filter(assumer__in=parents).exclude(session__in=seen)
            links = (
                links.select_related("session")
                .defer("session__sealed_secrets")
                .order_by("session__alias")
            )
            found = list(links[: most and most + 1 - len(seen)])
            for link in found:
                children.setdefault(link.assumer_id, []).append(link.session)
            parents = {link.session_id for link in found}
            seen = seen | parents
        return list(_walk_down(self.pk, children, level=1, seen={self.pk}))


def shown_alias(alias: str) -> str:
    """Return an alias as names in CloudTrail show it, in lower case.

    Empty where no handle is as long.
    """
    text = alone(alias).lower()
    return text if len(text) <= LONGEST_HANDLE else ""


def _walk_down(
    start: uuid.UUID, children: dict[uuid.UUID, list[AwsSession]], level: int, seen: set[uuid.UUID]
) -> Iterable[tuple[AwsSession, int]]:
    for child in children.get(start, []):
        if child.pk not in seen:
            seen.add(child.pk)
            yield child, level
            yield from _walk_down(child.pk, children, level + 1, seen)


def load_chains(
    sessions: Iterable[AwsSession], *, broken: bool = False
) -> dict[uuid.UUID, list[AwsSession]]:
    """Load {session's id: its chain, root first}, with one query per level, however many sessions.

    Raises `BrokenChain`; with `broken`, such a chain is as long as it goes instead, for pages that
    show it.
    """
    chains = {session.pk: [session] for session in sessions}
    ended: set[uuid.UUID] = set()
    while frontier := {
        path[0].pk: path[0] for pk, path in chains.items() if path[0].is_chained and pk not in ended
    }:
        links = AssumerLink.objects.filter(session_id__any_of=frontier).select_related("assumer")
        assumers = {link.session_id: link for link in links}
        for pk, path in chains.items():
            link = assumers.get(path[0].pk)
            if pk in ended or (link is None and not path[0].is_chained):
                continue
            if link is None or link.assumer in path or link.assumer.team_id != path[-1].team_id:
                if not broken:
                    raise BrokenChain(path[-1])
                ended.add(pk)
                continue
            path[0].link = link
            path.insert(0, link.assumer)
    return chains


def load_chain(session_id: uuid.UUID, **annotations: Any) -> list[AwsSession]:
    """Load one session's chain, root first, in one statement.

    Empty if it is gone. Raises `BrokenChain`.
    """
    start = AwsSession.objects.filter(pk=session_id, deletion=None).values("pk")
    found = (
        AwsSession.objects.filter(pk__in=above(start))
        .select_related("link")
        .annotate(**annotations)
    )
    by_id = {each.pk: each for each in found.defer("sealed_secrets")}
    path = [by_id.pop(session_id)] if session_id in by_id else []
    while path and path[0].is_chained:
        link = getattr(path[0], "link", None)
        assumer = by_id.pop(link.assumer_id, None) if link is not None else None
        if link is None or assumer is None or assumer.team_id != path[-1].team_id:
            raise BrokenChain(path[-1])
        link.assumer = assumer
        path.insert(0, assumer)
    return path


class BrokenChain(NotThere):
    """Refuse a chain whose links do not lead to a root: what it rests on is being deleted, or the
    table was edited by hand.
    """

    def __init__(self, session: AwsSession) -> None:
        super().__init__("", f"The chain of {session.alias!r} does not end at a root of its team.")


class AssumerLink(models.Model):
    """Store the edge from a chained session to its assumer, with what that AssumeRole call says.

    `role_session_name` is a template ("{username}", "{alias}", "{team}"), resolved per person when
    the call is planned; empty, it is the team's default at that moment. `tags` are [key, value]
    pairs. `networks` narrow, beside the team's own, where the session may be used from when it is
    delivered, never when it is assumed from. `without_source_identity`: this role takes none, see
    `SourceIdentity`. `parameters` are those settings of the hop that have no column of their own,
    as JSON: so a new one needs no migration. `author` is who answers for the use of the assumer:
    without their right to it, nothing is minted through the link.
    """

    session = models.OneToOneField(
        AwsSession, on_delete=models.CASCADE, related_name="link", primary_key=True
    )
    assumer = models.ForeignKey(
        AwsSession, on_delete=models.PROTECT, related_name="dependant_links"
    )
    role_arn = models.CharField("role ARN", max_length=2048)
    role_session_name = models.CharField("role session name", max_length=128)
    external_id = models.CharField("external ID", max_length=1224, blank=True)
    without_source_identity = models.BooleanField(default=False)
    tags = models.JSONField("session tags", default=list)
    transitive_tag_keys = models.JSONField(default=list)
    policy = models.TextField("session policy", blank=True)
    policy_arns = models.JSONField("managed session policies", default=list)
    networks = models.JSONField(default=list)
    parameters = models.JSONField("further settings of the hop", default=dict, db_default={})
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(session=models.F("assumer")), name="no_session_assumes_itself"
            )
        ]
        indexes = [
            models.Index(fields=["assumer", "session"], name="link_by_assumer"),
            models.Index(fields=["assumer", "author"], name="link_by_author"),
            models.Index(Lower("role_session_name"), name="link_by_template"),
            models.Index(RoleKey("role_arn"), name="link_by_role_key"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} from {self.assumer_id}"

    @property
    def settings(self) -> HopSettings:
        """Return what the hop is set to."""
        columns = {name: getattr(self, name) for name in _columns_of_settings()}
        return HopSettings.from_json(columns | self.parameters)

    @staticmethod
    def fields_of(settings: HopSettings) -> dict[str, Any]:
        """Return {field: value} of a link that is set like that."""
        stored, columns = settings.stored(), _columns_of_settings()
        further = {name: value for name, value in stored.items() if value and name not in columns}
        return {name: stored[name] for name in columns} | {"parameters": further}


@cache
def _columns_of_settings() -> tuple[str, ...]:
    """Return the settings of a hop that have a column of their own."""
    columns = {field.name for field in AssumerLink._meta.get_fields()}
    return tuple(name for name in parameters_of(HopSettings) if name in columns)
