"""Store the tokens by which tools act as a person."""

import hashlib
import ipaddress
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import models
from django.utils.functional import cached_property

from sessions.models.labels import Label
from sessions.models.people import Team, User
from sessions.models.robots import TrustRule
from sessions.models.sessions import AwsSession
from sessions.secret import Secret

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Scope(models.TextChoices):
    """Name what a token is good for, within its person's rights. Reading is part of each."""

    READ = "read", "Read sessions and their states"
    USE = "use", "Start, stop and rotate"
    CREDENTIALS = "credentials", "Get credentials"
    MANAGE = "manage", "Create, edit and delete sessions"
    PEOPLE = "people", "Manage people, groups and invitations"


def every_scope() -> list[str]:
    """Return the scopes that a token has unless told otherwise."""
    return [str(scope) for scope in Scope]


class Token(models.Model):
    """Store the hash of a secret by which a tool acts as a person in one team.

    The token has 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="tokens")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=every_scope)
    # Bound: good for these sessions and those with these labels alone, and for nothing once all of
    # them are deleted. Else for all that its person may.
    is_bound = models.BooleanField(default=False)
    sessions = models.ManyToManyField(AwsSession, related_name="+")
    labels = models.ManyToManyField(Label, related_name="+")
    # On which computer it is kept, as its person says.
    device = models.CharField(max_length=64, blank=True, default="", db_default="")
    # From these alone (CIDR); none: from everywhere.
    networks = models.JSONField(default=list, db_default=[])
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    # Written at most once a minute, and after the answer's own work: see `people.token_use`.
    last_used_at = models.DateTimeField(null=True)
    last_used_address = models.CharField(max_length=45, blank=True, default="", db_default="")
    last_used_client = models.CharField(max_length=200, blank=True, default="", db_default="")
    # When it last came from outside its networks, and from where.
    refused_at = models.DateTimeField(null=True)
    refused_address = models.CharField(max_length=45, blank=True, default="", db_default="")
    # Which rule it was given by, for whose signed token (its digest); none: it was made by hand.
    rule = models.ForeignKey(TrustRule, on_delete=models.SET_NULL, null=True, related_name="tokens")
    given_for = models.CharField(max_length=64, blank=True, default="", db_default="")

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @property
    def scope_labels(self) -> str:
        """Return in words what a token is good for."""
        return ", ".join(str(scope.label) for scope in Scope if scope in self.scopes)

    @staticmethod
    def digest_of(secret: Secret) -> str:
        return hashlib.sha256(secret.reveal().encode()).hexdigest()

    @cached_property
    def bound_to(self) -> dict[uuid.UUID, str]:
        """Read the sessions that a bound token is limited to: {id: alias}.

        Empty where all of them are deleted. Those that have its labels at this moment are among
        them.
        """
        if not self.is_bound:
            return {}
        found = {each.pk: each.alias for each in self.sessions.all() if each.deletion_id is None}
        if labels := [label.pk for label in self.labels.all()]:
            labelled = AwsSession.objects.filter(team=self.team_id, labelled__label__in=labels)
            found.update(labelled.order_by().values_list("pk", "alias"))
        return found

    def limit(self) -> str:
        """Say in words what a bound token is for: some sessions, or those with a label."""
        named = [f"“{each.alias}”" for each in self.sessions.all() if each.deletion_id is None]
        words = [", ".join(sorted(named))] if named else []
        words += [f"sessions with the label “{each.name}”" for each in self.labels.all()]
        return " and ".join(words)

    def is_open_to(self, address: Address | None) -> bool:
        """Check whether it may come from there; None: nobody knows from where."""
        return is_within(address, self.networks)

    def is_valid(self, at: datetime) -> bool:
        """Check whether it opens anything at that moment."""
        # One with a label may come to have something at any moment.
        has_something = not self.is_bound or bool(self.bound_to) or bool(self.labels.all())
        return self.revoked_at is None and at < self.expires_at and has_something


def is_within(address: Address | None, networks: Sequence[str]) -> bool:
    """Tell whether an address is in one of these networks, or there are none to be in."""
    if not networks:
        return True
    return address is not None and any(
        address in ipaddress.ip_network(each, strict=False) for each in networks
    )


MOST_NETWORKS = 20


def validate_source_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Check networks or addresses that a token may come from; return each once, in short form.

    Raises ValueError, naming what is none.
    """
    found: dict[str, None] = {}
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            try:
                wider = ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(
                    f"“{text[:64]}” is no network, such as 203.0.113.0/24 or 2001:db8::/32."
                ) from None
            raise ValueError(f"“{text[:64]}” has bits behind its prefix: write {wider}.") from None
        if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
            raise ValueError(f"“{text[:64]}”: write it as an IPv4 network.")
        found[str(network)] = None
    if len(found) > MOST_NETWORKS:
        raise ValueError(f"There can be at most {MOST_NETWORKS} networks.")
    return tuple(found)
