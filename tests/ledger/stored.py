"""Store lines of the ledger as they would be written."""

from datetime import UTC, datetime, timedelta

from sessions.models import Event, LedgerHead

TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"
OTHER = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e11"
SESSION = "7b2f09b7-3a66-4cdb-aad1-b75322ffa3fe"
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
MINTED = {
    "for": ["ben", "Jörg"],
    "role_arn": "arn:aws:iam::111122223333:role/teams/Deploy",
    "role_session_name": "ben@laptop",
    "access_key_id": "ASIAIOSFODNN7EXAMPLE",
    "parent_access_key_id": "AKIAI44QH8DHBEXAMPLE",
    "root": "f6a1c7c5-3f55-4d3a-9b0e-0a53b3c1a0a2",
}


def line(seq, kind="session.started", data=None, *, team=TEAM, at=None, actor="ada", **fields):
    return Event(
        team_id=team,
        seq=seq,
        at=at or NOON + timedelta(minutes=seq),
        kind=kind,
        actor=actor,
        data=data or {},
        prev="",
        hash="",
        **fields,
    )


def store(*lines):
    """Store lines as they are: a search does not look at the chain."""
    Event.objects.bulk_create(lines)
    for team in {each.team_id for each in lines}:
        end = max(each.seq for each in lines if each.team_id == team)
        LedgerHead.objects.update_or_create(
            team_id=team,
            defaults={"seq": end, "hash": ""},
            create_defaults={"seq": end, "hash": ""},
        )
