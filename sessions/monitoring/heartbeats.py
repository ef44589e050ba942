"""Stamp the times at which parts of the installation were alive; `/readyz` reads them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sessions.db.clock import database_now
from sessions.models import Heartbeat

PARTS = ("worker", "broker", "clock")
# Signs of work that is not looked for as often.
CHECKPOINTS = "checkpoints"
STALE_AFTER = timedelta(seconds=20)


def stamp(name: str) -> None:
    """Record that this part is alive now."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": database_now()})


def keep_places(name: str, places: Mapping[str, bool]) -> None:
    """Stamp those places that have taken all; forget the stamps of places that are not there."""
    stamps = {f"{name} {place}": has_all for place, has_all in places.items()}
    Heartbeat.objects.filter(name__startswith=f"{name} ").exclude(name__in=stamps).delete()
    for stamped, has_all in stamps.items():
        if has_all:
            stamp(stamped)


def forget() -> None:
    """Delete an earlier run's stamps; whoever lives stamps again."""
    Heartbeat.objects.all().delete()


def seconds_since(name: str, now: datetime) -> float | None:
    """Return the seconds since that part was last seen; None: never."""
    at = Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
    return None if at is None else (now - at).total_seconds()


def alive(now: datetime) -> dict[str, bool]:
    """Return {part: whether it was seen lately}."""
    seen = dict(Heartbeat.objects.filter(name__in=PARTS).values_list("name", "at"))
    return {part: part in seen and now - seen[part] < STALE_AFTER for part in PARTS}
