"""Remember who a root is after a test before saving, for exactly what was tested.

The test keeps a keyed digest of kind, settings and secret. Nothing that a browser sends decides
what is believed, and the digest tells nothing about the secret to who has the database alone.
"""

import json
import secrets as python_secrets
from collections.abc import Mapping
from datetime import timedelta

from django.utils.crypto import salted_hmac

from sessions.aws.roots import ROOT_KINDS
from sessions.db.clock import database_now
from sessions.models import AwsSession, Membership, Probe, ProbeState
from sessions.secret import Secret

# So long after a test its root can be saved with what it told.
TOLD_FOR = timedelta(minutes=15)
MOST_TESTS = 20


def digest(
    probe: Probe,
    kind: str,
    settings: Mapping[str, str],
    secrets: Mapping[str, Secret],
    stored: AwsSession | None,
) -> str:
    """Return a digest of what a test is about; without typed secrets, of the stored ones."""
    typed = {name: value.reveal() for name, value in secrets.items()}
    kept = [str(stored.pk), stored.secret_version] if stored and not typed else []
    said = json.dumps([str(probe.pk), kind, dict(settings), typed, kept], sort_keys=True)
    return salted_hmac("chains.probe.tested", said, algorithm="sha256").hexdigest()


def identity_told(
    member: Membership,
    kind: str,
    settings: Mapping[str, str],
    secrets: Mapping[str, Secret],
    stored: AwsSession | None,
) -> str:
    """Return the ARN of this member's last test of exactly this draft.

    Empty if there is none. Ask before saving.
    """
    if ROOT_KINDS[kind].per_person:
        return ""  # it told who the tester is
    passed = Probe.objects.filter(
        team=member.team_id, user=member.user_id, kind=kind, state=ProbeState.OK
    )
    for probe in (
        passed.filter(ends_at__gt=database_now())
        .exclude(tested="")
        .order_by("-ends_at")[:MOST_TESTS]
    ):
        if python_secrets.compare_digest(
            probe.tested, digest(probe, kind, settings, secrets, stored)
        ):
            return str(probe.result.get("identity", ""))
    return ""
