"""Store what a team demands of the names, tags and networks of its sessions."""

from typing import Any, Self

from django.db import models
from django.utils.functional import cached_property

from sessions.models.people import Team


class SourceIdentity(models.TextChoices):
    """Say if a chain's first hop names the person in a way that no later hop can change.

    `WHERE_POSSIBLE`: on every chain of which no link is marked `without_source_identity`. A person
    marks a link, or a worker does when AWS refuses sts:SetSourceIdentity there; then every chain
    through that link goes without, from its first hop.
    """

    OFF = "off", "Off"
    WHERE_POSSIBLE = "where-possible", "Where possible"
    REQUIRED = "required", "Required"


class Scoping(models.TextChoices):
    """Say if each delivery gets a child of the leaf, by sts:GetScopedCredentials.

    `WHERE_ALLOWED`: where AWS refuses it for a role, the leaf itself is delivered, bound and
    limited by its own session policy.
    """

    OFF = "off", "Off"
    WHERE_ALLOWED = "where-allowed", "Where AWS allows it"
    REQUIRED = "required", "Required"


class ScopingRefusal(models.Model):
    """Note that AWS does not let the sessions of a role be scoped, and when that is tried again."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    role_arn = models.CharField(max_length=2048)
    code = models.CharField(max_length=100)
    message = models.TextField(blank=True)
    at = models.DateTimeField()
    try_again_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "role_arn"], name="one_scoping_refusal_per_role"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} for {self.role_arn}"


class TeamPolicy(models.Model):
    """Store a team's policy; a team without a row has the defaults.

    `role_session_name` is the template of every hop whose link has none of its own; with
    `names_locked` it is every hop's, whatever its link says. With `username_demanded` a template
    without {username} is refused, and one that is already stored gives way to the team's. `tags` is
    [{"key", "values"}]: the tags that links may send; no values: any. `networks` are those that
    delivered credentials are bound to, as AWS sees them; none: they are not bound.

    With `scoping`, what is delivered is narrowed: `read_only`, `without_iam` (no writes in IAM and
    Organizations), to `regions`, and to what `scope_policy` allows. A pasted snippet then works
    for `snippet_minutes`.

    `tokens_take_sensitive`: tokens, which nobody can ask to confirm, get credentials of sensitive
    sessions as well.
    """

    team = models.OneToOneField(
        Team, on_delete=models.CASCADE, primary_key=True, related_name="policy"
    )
    role_session_name = models.CharField(
        "default role session name", max_length=128, default="{username}"
    )
    names_locked = models.BooleanField("every hop uses it", default=False)
    username_demanded = models.BooleanField("demand {username}", default=False)
    source_identity = models.CharField(
        max_length=20, choices=SourceIdentity.choices, default=SourceIdentity.OFF
    )
    tags = models.JSONField(default=list)
    networks = models.JSONField(default=list)
    token_days = models.PositiveSmallIntegerField(
        "days that a new token is valid at most", default=90, db_default=90
    )
    scoping = models.CharField(
        max_length=20, choices=Scoping.choices, default=Scoping.OFF, db_default=Scoping.OFF
    )
    snippet_minutes = models.PositiveSmallIntegerField(default=60, db_default=60)
    read_only = models.BooleanField(default=False, db_default=False)
    without_iam = models.BooleanField(default=False, db_default=False)
    regions = models.JSONField(default=list, db_default=[])
    scope_policy = models.TextField(blank=True, default="", db_default="")
    tokens_take_sensitive = models.BooleanField(default=False, db_default=False)
    # Goes up with every change that people see; see `locks.versions`.
    version = models.PositiveIntegerField(default=1, db_default=1)

    def __str__(self) -> str:
        return f"policy of {self.team_id}"

    @classmethod
    def of(cls, team_id: Any) -> Self:
        """Read a team's policy."""
        return cls.objects.filter(pk=team_id).first() or cls(team_id=team_id)

    @property
    def allowed_tags(self) -> dict[str, list[str]]:
        """Return {key: the values it may have; none means any}."""
        return {each["key"]: list(each["values"]) for each in self.tags}

    @cached_property
    def unscoped_roles(self) -> frozenset[str]:
        """Read the roles whose sessions AWS does not let be scoped, where that matters."""
        if self.scoping != Scoping.WHERE_ALLOWED:
            return frozenset()
        refused = ScopingRefusal.objects.filter(team=self.team_id)
        return frozenset(refused.values_list("role_arn", flat=True))

    def scopes(self, role_arn: str) -> bool:
        """Tell whether what is delivered of that role is a scoped child of its session."""
        return self.scoping != Scoping.OFF and role_arn not in self.unscoped_roles
