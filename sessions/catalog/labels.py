"""Label sessions, and keep right which of them are sensitive, by their own mark or by a label."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Lower

from sessions import ledger
from sessions.actors import Actor
from sessions.chains.same_identity import others_like
from sessions.exceptions import NotThere, Refused
from sessions.ledger import Entry
from sessions.ledger.events.labels import LabelDeleted, LabelEdited
from sessions.locks.team_lock import begin
from sessions.models import AwsSession, Colour, Label, SessionLabel, Team
from sessions.models.labels import in_order
from sessions.permissions import Action, can

LONGEST_LABEL = 50
MOST_LABELS = 20
_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/=@+-]*")
# A new label's colour follows from its name, so that labels look different without anybody's doing.
_CHOSEN_BY_NAME = [each for each in Colour if each is not Colour.GREY]


def validate_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of labels without repetitions, whatever their case. Raises ValueError."""
    found: dict[str, str] = {}
    for name in names:
        if len(name) > LONGEST_LABEL:
            raise ValueError(f"“{name[:20]}…” is longer than {LONGEST_LABEL} characters.")
        if not _LEGAL.fullmatch(name):
            raise ValueError(
                f"“{name}” is no label: letters, digits, spaces and . _ : / = @ + - are allowed,"
                " a letter or digit first."
            )
        found.setdefault(name.lower(), name)
    if len(found) > MOST_LABELS:
        raise ValueError(f"A session has at most {MOST_LABELS} labels.")
    return tuple(found.values())


def find_or_make(names: Sequence[str], actor: Actor) -> list[Label]:
    """Find the team's labels of these names; make those it has not. Under the team's lock."""
    wanted = {name.lower(): name for name in names}
    if not wanted:
        return []
    stored = Label.objects.filter(team=actor.team_id).annotate(lower=Lower("name"))
    found: dict[str, Label] = {
        each.name.lower(): each for each in stored.filter(lower__in=list(wanted))
    }
    missing = [name for lower, name in wanted.items() if lower not in found]
    if missing and not can(actor, Action.CREATE_CHAINED):
        raise Refused("labels", f"The team has no label “{missing[0]}”, and you cannot create one.")
    for name in missing:
        found[name.lower()] = Label.objects.create(
            team=actor.team, name=name, colour=_colour_for(name)
        )
    return in_order(found.values())


def _colour_for(name: str) -> Colour:
    return _CHOSEN_BY_NAME[sum(name.lower().encode()) % len(_CHOSEN_BY_NAME)]


def write_labels(session: AwsSession, labels: Sequence[Label]) -> None:
    """Store which labels a session has. Under the team's lock."""
    stored = set(SessionLabel.objects.filter(session=session).values_list("label_id", flat=True))
    wanted = {each.pk for each in labels}
    if gone := stored - wanted:
        SessionLabel.objects.filter(session=session, label__in=gone).delete()
    SessionLabel.objects.bulk_create(
        SessionLabel(session=session, label=each) for each in labels if each.pk not in stored
    )
    session.labels_shown = list(labels)


def mark(session: AwsSession, labels: Sequence[Label], actor: Actor, *, sensitive: bool) -> None:
    """Set on a session, not stored yet, whether it is sensitive.

    Raises `Refused` where somebody takes off a mark who may not: whoever owns the session may mark
    it, and only an admin who is logged in takes a mark off, their own or a label's.
    """
    if not (actor.is_admin and actor.token is None):
        kept = {each.pk for each in labels}
        lost = [each for each in session.labels_shown if each.is_sensitive and each.pk not in kept]
        if session.marked_sensitive and not sensitive:
            raise Refused("sensitive", _UNMARK)
        if lost:
            raise Refused("labels", f"“{lost[0].name}” marks the session as sensitive. {_UNMARK}")
    session.marked_sensitive = sensitive
    session.is_sensitive = sensitive or any(each.is_sensitive for each in labels)


_UNMARK = "Only an admin on the page, not a token, can make it not sensitive again."


def has_sensitive_role(session: AwsSession) -> bool:
    """Check whether another session of the team that is the same at AWS is sensitive."""
    return others_like(session).filter(is_sensitive=True).exists()


# --- the team's labels ----------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelUse:
    """Hold a label, and how many sessions have it."""

    label: Label
    sessions: int


def labels_in_use(team: Team) -> list[LabelUse]:
    """List a team's labels by name, with how many sessions have each."""
    counted = Label.objects.filter(team=team).annotate(
        used=Count("labelled", filter=Q(labelled__session__team=team))
    )
    return [LabelUse(each, each.used) for each in counted]


@transaction.atomic
def save_label(label_id: int, actor: Actor, *, name: str, colour: str, is_sensitive: bool) -> Label:
    """Change a label's name, colour, or whether its sessions are sensitive. Raises `Refused`."""
    actor = begin(actor, Action.EDIT_POLICY)
    label = _label(label_id, actor)
    before = _told(label)
    try:
        (label.name,) = validate_labels([name])
    except ValueError as error:
        raise Refused("name", str(error)) from None
    if colour not in Colour.values:
        raise Refused("colour", f"One of: {', '.join(Colour)}.")
    label.colour = Colour(colour)
    label.is_sensitive = is_sensitive
    told = _told(label)
    if told == before:
        return label
    if before.is_sensitive and not is_sensitive and actor.token is not None:
        raise Refused("is_sensitive", _UNMARK)
    try:
        with transaction.atomic():
            label.save()
    except IntegrityError:
        raise Refused("name", f"The team already has a label “{label.name}”.") from None
    if before.is_sensitive != is_sensitive:
        _remark(label)
    # Whoever has a form of one of these sessions open sees the label's name in it.
    labelled = AwsSession.objects.filter(labelled__label=label, team=actor.team_id)
    if before.name != label.name:
        AwsSession.objects.filter(pk__in=labelled.order_by().values("pk")).update(
            version=F("version") + 1
        )
    ledger.append(actor.team_id, [Entry(told.from_what_was(before.as_data()), actor)])
    return label


@transaction.atomic
def delete_label(label_id: int, actor: Actor) -> None:
    """Delete a label that no session has. Raises `Refused`."""
    actor = begin(actor, Action.EDIT_POLICY)
    label = _label(label_id, actor)
    if AwsSession.objects.filter(labelled__label=label, team=actor.team_id).exists():
        raise Refused("", f"Sessions have the label “{label.name}”: take it off them first.")
    told = LabelDeleted(name=label.name)
    label.delete()
    ledger.append(actor.team_id, [Entry(told, actor)])


def _label(label_id: int, actor: Actor) -> Label:
    label = Label.objects.filter(pk=label_id, team=actor.team_id).first()
    if label is None:
        raise NotThere("", "The label was deleted meanwhile.")
    return label


def _told(label: Label) -> LabelEdited:
    return LabelEdited(
        name=label.name, colour=str(label.colour), is_sensitive=bool(label.is_sensitive)
    )


def _remark(label: Label) -> None:
    """Keep right which sessions are sensitive, once one of their labels is or is no longer."""
    sessions = AwsSession.objects.filter(pk__in=label.labelled.order_by().values("session"))
    if label.is_sensitive:
        sessions.update(is_sensitive=True)
        return
    by_another = SessionLabel.objects.filter(session=OuterRef("pk"), label__is_sensitive=True)
    sessions.filter(~Exists(by_another), marked_sensitive=False).update(is_sensitive=False)
