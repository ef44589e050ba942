"""Let credentials grow old, and read what was assumed."""

from datetime import timedelta

from sessions.models import Credential


def assumed(sts):
    return [call for call in sts.calls if call["action"] == "AssumeRole"]


def age(minutes, **rows):
    """Let the credentials be that much older, as if time had passed."""
    for row in Credential.objects.filter(level__gt=0, **rows):
        shift = timedelta(minutes=minutes)
        row.minted_at -= shift
        row.expires_at -= shift
        row.due_at = row.due_at - shift if row.due_at else None
        row.save()
