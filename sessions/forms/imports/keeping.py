"""Keep what of a person's config files is no session, sealed, to give it back at export."""

import json
from collections.abc import Mapping

from sessions.actors import Actor
from sessions.exceptions import Refused
from sessions.forms.imports.preview import Preview
from sessions.models import AwsSession, KeptConfig
from sessions.sealing import SealingError, open_sealed, seal
from sessions.secret import Secret

# A person's own files are smaller; what is more is left out of an export.
MOST_KEPT = 512 * 1024


def keep(actor: Actor, shown: Preview, saved: Mapping[str, AwsSession]) -> None:
    """Keep the sections of the actor's config files, and which session each profile became.

    Sections of an earlier import stay, unless one of the same header comes now.
    """
    if not shown.plan.kept:
        return
    sections, sessions = kept_by(actor)
    sections |= {each.header: dict(each.values) for each in shown.plan.kept}
    for key, row in shown.rows.items():
        session = saved.get(key) or (row.existing if row.state == "same" else None)
        if session is not None:
            sessions[key] = str(session.pk)
    text = json.dumps({"sections": sections, "sessions": sessions})
    if len(text) > MOST_KEPT:
        raise Refused("", "The files hold more than is kept of one person's: split them.")
    mine = KeptConfig.objects.select_for_update().filter(team=actor.team_id, user=actor.user_id)
    stored = mine.first() or KeptConfig(team=actor.team, user=actor.user, version=0)
    stored.version += 1
    stored.sealed = seal(Secret(text), stored.seal_context)
    stored.save()


def kept_by(actor: Actor) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return (what was kept of the actor's sections, {item's key: the id of its session})."""
    row = KeptConfig.objects.filter(team=actor.team_id, user=actor.user_id).first()
    if row is None:
        return {}, {}
    try:
        found = json.loads(open_sealed(row.sealed, row.seal_context).reveal())
    except SealingError:
        return {}, {}
    return found["sections"], found["sessions"]
