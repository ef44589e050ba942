"""Erase credentials that no activation, probe, delivery or child needs."""

import json
from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from sessions.credentials import bulk_write
from sessions.credentials.timing import PARENT_MARGIN
from sessions.db.clock import database_now
from sessions.models import (
    Activation,
    Credential,
    Delivery,
    Probe,
    RootAnswer,
)

# Databases take only so many values in one statement.
PLANS_AT_ONCE = 1000


def delete_activations(ids: Collection[UUID]) -> None:
    """Delete these activations and their deliveries in two statements, however many.

    Django would read each for what points to it. Under the team's lock.
    """
    Delivery.objects.filter(activation_id__any_of=ids).delete()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            those = json.dumps([each.hex for each in ids])
            cursor.execute(
                "DELETE FROM chains_activation WHERE id IN (SELECT value FROM json_each(%s))",
                [those],
            )
        else:
            cursor.execute("DELETE FROM chains_activation WHERE id = ANY(%s)", [list(ids)])


def erase_unneeded(credential: Credential | None) -> None:
    """Delete a credential that nothing needs (see above), then its parent likewise.

    Under the team's lock.

    A rotation in flight finds its row gone and changes nothing.
    """
    if credential is not None:
        erase_all_unneeded([credential.pk])


def erase_all_unneeded(fingerprints: Iterable[str]) -> None:
    """Delete several unneeded credentials with a few queries per level of their chains.

    With them go the scoped children whose deliveries have ended.
    """
    left = set(fingerprints)
    scoped = Credential.objects.filter(parent_id__any_of=left, is_scoped=True)
    left |= set(scoped.values_list("pk", flat=True))
    while left:
        some, left = left, set()
        unneeded = Credential.objects.filter(
            ~Exists(Activation.objects.filter(credential=OuterRef("pk"))),
            ~Exists(Probe.objects.filter(credential=OuterRef("pk"))),
            ~Exists(Delivery.objects.filter(credential=OuterRef("pk"))),
            pk__any_of=some,
        )
        children = Exists(Credential.objects.filter(parent=OuterRef("pk")))
        # Kept for what is below it; but nobody takes it away any more, so it is not rotated for its
        # own sake.
        unneeded.filter(
            children,
            lease_until=None,
            sealed__isnull=False,
            expires_at__gt=database_now() + PARENT_MARGIN,
        ).update(due_at=None)
        lone = dict(unneeded.filter(~children).values_list("pk", "parent_id"))
        RootAnswer.objects.filter(
            credential_id__any_of=[pk for pk, parent in lone.items() if not parent]
        ).delete()
        bulk_write.delete(lone)
        left |= {parent for parent in lone.values() if parent}
