"""Store teams, people and what a person's name in CloudTrail has been."""

import uuid
from collections.abc import Collection
from typing import Any, Self

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac


class User(AbstractUser):
    """Store a person.

    `aws_name` is their handle in CloudTrail: legal as a RoleSessionName, unique, changed by admins
    alone.
    """

    # The ledger names people by their user name: ASCII, so that no two look alike.
    username_validator = ASCIIUsernameValidator()  # type: ignore[assignment]  # the stubs know the other alone

    username = models.CharField(
        "user name",
        max_length=150,
        unique=True,
        validators=[username_validator],
        help_text="Letters, digits and @ . + - _",
        error_messages={"unique": "Somebody has that user name."},
    )
    aws_name = models.CharField("name in CloudTrail", max_length=32)
    # Part of what a browser's login is checked against: a higher number ends all there are, for
    # good.
    log_ins_ended = models.PositiveIntegerField(default=0)

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(Lower("aws_name"), name="aws_name_is_unique"),
            models.UniqueConstraint(Lower("username"), name="username_is_unique_in_any_case"),
        ]

    # By what page a new password is given, until it is saved; empty: by the operator.
    new_password_by = ""
    # What was read of each column, by its name.
    _read: dict[str, Any] | None = None

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any
    ) -> Self:
        """Remember what is read, so that `save` knows what has changed."""
        user = super().from_db(db, field_names, values, **kwargs)
        user._read = dict(zip(field_names, values, strict=False))
        return user

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the person in one transaction with what a new password ends: see `people.log_ins`.

        Of a person that is there, what was not changed is not written: libraries save a whole row
        with a new password, and would let in again whom the operator has switched off since they
        read it.
        """
        read = self._read or {}
        if (
            read
            and not args
            and kwargs.get("update_fields") is None
            and not kwargs.get("force_insert")
        ):
            kwargs["update_fields"] = [
                name for name, value in read.items() if getattr(self, name) != value
            ]
        with transaction.atomic():
            super().save(*args, **kwargs)
        read.update({name: getattr(self, name) for name in kwargs.get("update_fields") or ()})

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what Django keeps in a login's session and compares at each request."""
        own: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]  # not in the stubs
        if not self.log_ins_ended:
            return own
        return salted_hmac(
            "chains.log_ins_ended", f"{own}:{self.log_ins_ended}", secret=secret, algorithm="sha256"
        ).hexdigest()


class AwsName(models.Model):
    """Store every name that somebody has had in CloudTrail, so that it never means another person.

    There is no foreign key to the person, whom it outlives.
    """

    key = models.CharField("the name in lower case", primary_key=True, max_length=32)
    name = models.CharField(max_length=32)
    person_id = models.BigIntegerField(null=True, db_index=True)
    username = models.CharField(max_length=150)
    held_from = models.DateTimeField()
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} is {self.username}"


class Team(models.Model):
    """Store a tenant: nothing of one team is seen by, or assumed from, another."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    default_region = models.CharField(max_length=32, default="us-east-1")
    max_depth = models.PositiveSmallIntegerField("longest chain, in AssumeRole calls", default=5)
    activation_hours = models.PositiveSmallIntegerField(
        "hours a started session is kept fresh", default=12
    )
    ambient_enabled = models.BooleanField("may use the workers' own identity", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("slug"), name="team_slug_is_unique_in_any_case")
        ]

    def __str__(self) -> str:
        return self.name
