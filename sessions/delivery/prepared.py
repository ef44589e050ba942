"""Find the scoped credential that a worker has prepared for one device."""

import time
from typing import Any
from uuid import UUID

from sessions.db.clock import Now
from sessions.models import Channel, Delivery

LOOK_EVERY_SECONDS = 0.05


def prepared_for(activation_id: Any, token_id: UUID) -> Delivery | None:
    """Find a token's endpoint with its live scoped credential, `credential`; None if there is none.

    A child of another leaf than the activation's is none: the chain has changed since. Whether it
    may be delivered, and whether its policy is that of now, is the caller's to check.
    """
    found = Delivery.objects.select_related("activation", "credential").filter(
        activation=activation_id,
        token=token_id,
        channel=Channel.ENDPOINT,
        credential__sealed__isnull=False,
        credential__expires_at__gt=Now(),
        ends_at__gt=Now(),
    )
    delivery = found.first()
    if delivery is None or delivery.credential.parent_id != delivery.activation.credential_id:
        return None
    return delivery


def is_prepared(delivery_id: UUID) -> bool:
    """Tell whether a worker is done with a delivery: its credential is there, or cannot be had."""
    waiting = Delivery.objects.filter(pk=delivery_id, credential__asked_at__isnull=False)
    return not waiting.exists()


def wait_for(delivery_id: UUID, seconds: float) -> bool:
    """Wait so long at most until a worker is done with a delivery; tell whether it is."""
    until = time.monotonic() + seconds
    while not (done := is_prepared(delivery_id)) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_SECONDS)
    return done
