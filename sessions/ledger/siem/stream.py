"""Send each ledger's issues and deliveries to each destination, in order, at least once.

A row for each destination and team says up to which line it is sent. Only whoever holds its lease
sends, so that a team's events keep their order, and no transaction is open meanwhile. A destination
that does not answer is tried again later and later; nothing else waits for it, and what it has not
taken stays in the ledger.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import F, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Cast

from sessions.db.clock import database_now
from sessions.db.compact_fields import UuidText
from sessions.ledger.outlets import NotTaken
from sessions.ledger.siem.destinations import Destination, destinations
from sessions.ledger.siem.ocsf import KINDS, Record, record_of
from sessions.models import Event, LedgerHead, SiemCursor

log = structlog.get_logger(__name__)

# So many lines are looked through for one batch, and so many are sent at once: about 300 kB.
LINES_AT_ONCE = 5000
RECORDS_AT_ONCE = 200
# A team with much to send lets the others have their turn.
TEAM_SECONDS = 2.0
# A team whose batch is rejected for what is in it does not stop the others.
REJECTED = {400, 413, 415, 422}
# A destination that lacks lines for longer is worth a word.
LATE_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 300.0


def is_due() -> bool:
    """Tell whether some place lacks lines and may be tried now, or is not named any more."""
    names = [each.name for each in destinations()]
    if SiemCursor.objects.filter(is_on=True).exclude(outlet__in=names).exists():
        return True
    return any(_teams_without(name).exists() or _behind(name).exists() for name in names)


def work_off(seconds: float) -> bool:
    """Send what is not sent, for at most so long; True: some is left that may be sent now."""
    places = destinations()
    _note_what_is_on([each.name for each in places])
    until = time.monotonic() + seconds
    for number, place in enumerate(places, 1):
        # Each has its share of the time that is left, so that a slow one leaves some to the others.
        rest = until - time.monotonic()
        _Sending(place, time.monotonic() + rest / (len(places) - number + 1)).all_teams()
    return is_due()


def _note_what_is_on(names: list[str]) -> None:
    SiemCursor.objects.filter(is_on=True).exclude(outlet__in=names).update(is_on=False)
    SiemCursor.objects.filter(is_on=False, outlet__in=names).update(is_on=True)
    for name in names:
        teams = _teams_without(name).values_list("team_id", flat=True)
        SiemCursor.objects.bulk_create(
            [SiemCursor(outlet=name, team_id=team_id) for team_id in teams], ignore_conflicts=True
        )


def _teams_without(name: str) -> QuerySet[LedgerHead]:
    known = SiemCursor.objects.filter(outlet=name).values("team_id")
    return LedgerHead.objects.filter(seq__gt=0).exclude(team_id__in=known)


def _behind(name: str) -> QuerySet[SiemCursor]:
    """Select a place's cursors with lines behind them that may be sent now."""
    now = database_now()
    may = Q(again_at=None) | Q(again_at__lte=now)
    return _not_at_the_end(SiemCursor.objects.filter(may, outlet=name).free(now))


def _not_at_the_end(cursors: QuerySet[SiemCursor]) -> QuerySet[SiemCursor]:
    end = LedgerHead.objects.filter(team_id=OuterRef("team_id")).values("seq")
    return cursors.annotate(end=Subquery(end)).filter(end__gt=F("seq"))


@dataclass
class _Sending:
    """Send to one destination until that moment of this process's clock, or until it fails."""

    place: Destination
    until: float

    def all_teams(self) -> None:
        longest_ago = F("sent_at").asc(nulls_first=True)
        for pk in list(_behind(self.place.name).order_by(longest_ago).values_list("pk", flat=True)):
            if time.monotonic() >= self.until:
                return
            cursor = SiemCursor.objects.all().hold(pk)
            if cursor is not None and not self._team(cursor):
                return

    def _team(self, cursor: SiemCursor) -> bool:
        """Send one team's lines; False: the destination takes nobody's now."""
        until = min(self.until, time.monotonic() + TEAM_SECONDS)
        # What was rejected may have been too much.
        size = max(RECORDS_AT_ONCE >> min(cursor.failures, 16), 1)
        try:
            for records, upto in _batches(cursor.team_id, cursor.seq, size):
                if records:
                    self.place.send(records)
                took = {"seq": upto, "failures": 0, "problem": "", "again_at": None}
                if records:
                    took["sent_at"] = database_now()
                # Somebody else sends where the lease has ended: the rest is theirs.
                if not cursor.write(**took) or time.monotonic() >= until:
                    break
        except OSError as error:
            return self._failed(cursor, error)
        cursor.release()
        return True

    def _failed(self, cursor: SiemCursor, error: OSError) -> bool:
        is_rejected = isinstance(error, NotTaken) and error.status in REJECTED
        # The text of other errors may hold an address, and in it a token.
        reason = str(error) if isinstance(error, NotTaken) else error.strerror
        problem = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        failures = cursor.failures + 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 16), LONGEST_PAUSE_SECONDS)
        again = {"again_at": database_now() + timedelta(seconds=pause), "problem": problem[:200]}
        log.error(
            "events are not sent to the SIEM; they are sent later",
            destination=self.place.name,
            team=cursor.team_id,
            error=problem,
            again_in_seconds=pause,
        )
        cursor.release(failures=failures, **again)
        if not is_rejected:
            waiting = SiemCursor.objects.filter(outlet=self.place.name)
            waiting.exclude(pk=cursor.pk).update(**again)
        return is_rejected


def _batches(team_id: str, after: int, size: int) -> Iterator[tuple[list[Record], int]]:
    """Yield a team's records in their order, and up to which line each batch goes."""
    lines = Event.objects.filter(team_id=team_id)
    heads = LedgerHead.objects.filter(team_id=team_id).values_list("seq", flat=True)
    end = heads.first() or 0
    while after < end:
        upto = min(after + LINES_AT_ONCE, end)
        sent = lines.filter(seq__gt=after, seq__lte=upto, kind__in=KINDS)
        found = list(sent.order_by("seq")[:size])
        after = found[-1].seq if len(found) == size else upto
        yield [record_of(each) for each in found], after


# --- how far it is --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lag:
    """Tell how far a destination is behind: in lines, and since when the oldest waits."""

    outlet: str
    lines: int
    since: datetime | None
    failures: int
    problem: str

    def seconds(self, now: datetime) -> float:
        """Return how long the oldest line has waited."""
        return max((now - self.since).total_seconds(), 0.0) if self.since else 0.0


def lags(team_id: object | None = None) -> list[Lag]:
    """Tell how far each destination is behind that the settings name; of one team, or of all."""
    cursors = SiemCursor.objects.filter(is_on=True)
    if team_id is not None:
        cursors = cursors.filter(team_id=str(team_id))
    found = []
    for outlet in cursors.order_by("outlet").values_list("outlet", flat=True).distinct():
        of_place = cursors.filter(outlet=outlet)
        behind = _not_at_the_end(of_place)
        team = Cast(OuterRef("team_id"), UuidText(max_length=36))
        first = Event.objects.filter(team_id=team, seq__gt=OuterRef("seq"))
        oldest = behind.annotate(at=Subquery(first.order_by("seq").values("at")[:1]))
        worst = of_place.order_by("-failures").first()
        found.append(
            Lag(
                outlet,
                behind.aggregate(lines=Sum(F("end") - F("seq"), default=0))["lines"],
                oldest.aggregate(since=Min("at"))["since"],
                worst.failures if worst else 0,
                worst.problem if worst else "",
            )
        )
    return found


def late(team_id: object) -> list[Lag]:
    """Return which destinations a team's events have not reached for a while."""
    now = database_now()
    return [each for each in lags(team_id) if each.seconds(now) > LATE_SECONDS]
