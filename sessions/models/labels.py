"""Store a team's labels, and which sessions have them."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.functions import Lower

from sessions.models.people import Team


class Colour(models.TextChoices):
    """Name the colours of labels; the pages' style sheet has one token for each."""

    GREY = "grey", "Grey"
    BLUE = "blue", "Blue"
    TEAL = "teal", "Teal"
    GREEN = "green", "Green"
    AMBER = "amber", "Amber"
    RED = "red", "Red"
    PINK = "pink", "Pink"
    VIOLET = "violet", "Violet"


class Label(models.Model):
    """Store a word by which a team sorts its sessions, as “production” or “billing”.

    Every session with an `is_sensitive` label is sensitive: see `AwsSession.is_sensitive`.
    """

    team = models.ForeignKey(
        Team, on_delete=models.CASCADE, db_index=False, related_name="session_labels"
    )
    name = models.CharField(max_length=50)
    colour = models.CharField(max_length=10, choices=Colour.choices, default=Colour.GREY)
    is_sensitive = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("team", Lower("name"), name="label_is_unique_in_team")
        ]
        ordering = [Lower("name")]

    def __str__(self) -> str:
        return self.name


class SessionLabel(models.Model):
    """Store that a session has a label."""

    session = models.ForeignKey(
        "AwsSession", on_delete=models.CASCADE, db_index=False, related_name="labelled"
    )
    label = models.ForeignKey(
        Label, on_delete=models.CASCADE, db_index=False, related_name="labelled"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "label"], name="a_label_once_per_session"),
            models.UniqueConstraint(fields=["label", "session"], name="session_by_label"),
        ]

    def __str__(self) -> str:
        return f"{self.label_id} of {self.session_id}"


def load_labels(sessions: Iterable[Any], team: Team | None = None) -> None:
    """Load the labels of these `AwsSession`s with one query, however many they are.

    `team`: they are all sessions of that team, so that none needs to be named.
    """
    by_id = {session.pk: session for session in sessions}
    found: dict[Any, list[Label]] = {}
    if by_id:
        rows = SessionLabel.objects.select_related("label")
        if team is not None:
            rows = rows.filter(label__team=team)
        else:
            rows = rows.filter(session_id__any_of=list(by_id))
        for row in rows:
            found.setdefault(row.session_id, []).append(row.label)
    for pk, session in by_id.items():
        session.labels_shown = in_order(found.get(pk, []))


def in_order(labels: Iterable[Label]) -> list[Label]:
    """Sort labels by name; every database, and Python, then has them in one order."""
    return sorted(labels, key=lambda label: label.name.lower())
