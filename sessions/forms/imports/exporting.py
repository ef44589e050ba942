"""Gather what an export may hold: the team's sessions as their reader sees them."""

from sessions.actors import Actor
from sessions.aws.name_template import NameTemplate
from sessions.aws.names import InvalidName
from sessions.forms.imports.keeping import kept_by
from sessions.imports.exporting import FORMATS, Team
from sessions.imports.plan import Item
from sessions.models import AwsSession

EXPORTED = ("role_arn", "external_id", "role_session_name")


def export(actor: Actor, form: str) -> str:
    """Write the sessions of the actor's team in a format; secrets and key ids are not in it."""
    found = AwsSession.objects.filter(team=actor.team_id).select_related("link")
    sessions = {
        str(each.pk): _item(each, actor) for each in found.defer("sealed_secrets").order_by("alias")
    }
    kept, became = kept_by(actor)
    return FORMATS[form].write(Team(actor.team.slug, sessions, kept, became))


def _item(session: AwsSession, actor: Actor) -> Item:
    item = Item(str(session.pk), session.alias, "", 0, session.kind, session.alias)
    item.profile, item.region = session.profile, session.region
    if not session.is_chained or not hasattr(session, "link"):
        item.settings = {k: v for k, v in session.settings.items() if k != "access_key_id"}
        return item
    item.source = str(session.link.assumer_id)
    settings = session.link.settings
    item.settings = {
        name: value for name in EXPORTED if (value := str(getattr(settings, name) or ""))
    }
    name = item.settings.get("role_session_name", "")
    if "{" in name:
        item.settings["role_session_name"] = _filled(name, session, actor)
    return item


def _filled(name: str, session: AwsSession, actor: Actor) -> str:
    values = {
        "username": actor.user.aws_name,
        "alias": session.alias,
        "team": actor.team.slug,
    }
    try:
        return NameTemplate(name).render(values)
    except (InvalidName, KeyError):
        return ""
