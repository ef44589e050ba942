"""Measure how far the workers' clock is off, by a message's times or the answer's Date."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

_TIMES = re.compile(
    r"(?P<signed>\d{8}T\d{6}Z) is (?:now|still) (?:earlier|later) than \d{8}T\d{6}Z"
    r" \((?P<aws>\d{8}T\d{6}Z) [-+]",
    re.ASCII,
)
# AWS takes no signature that is further off, so what it has answered at all was asked within this.
TAKEN_BY_AWS = timedelta(minutes=15)
AGREEING_SECONDS = 60


def seen(message: str, answer: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return how far our clock is ahead of AWS's (negative: behind).

    None if the answer does not tell.
    """
    if times := _TIMES.search(message):
        try:
            return _moment(times["signed"]) - _moment(times["aws"])
        except ValueError:
            return None
    date = date_of(answer)
    return now - date if date else None


def date_of(answer: Mapping[str, Any]) -> datetime | None:
    """Return the time of this answer by AWS's clock."""
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        date = parsedate_to_datetime(str(headers.get("date", "")))
    except (ValueError, IndexError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def aws_time(answer: Mapping[str, Any], now: datetime) -> datetime:
    """Return AWS's time to judge an answer by.

    If it differs so far that it is in doubt, ours is returned.
    """
    date = date_of(answer)
    return date if date and abs(date - now) <= TAKEN_BY_AWS else now


def in_words(skew: timedelta | None) -> str:
    """Say by how much the workers' clock is off."""
    if skew is None:
        return "The workers' clock differs from AWS's by more than AWS accepts."
    seconds = abs(round(skew.total_seconds()))
    if seconds < AGREEING_SECONDS:
        return (
            "AWS did not accept the time of the request, though the clocks differ by only"
            f" {seconds} s now."
        )
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
        f"{rest} s" if rest else "",
    ]
    amount = " ".join(part for part in parts if part)
    return (
        f"The workers' clock is {amount} {'ahead of' if skew > timedelta(0) else 'behind'} AWS's."
    )


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
