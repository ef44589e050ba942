"""List the roles that a person may switch to in the console, for a browser extension."""

from sessions.actors import Actor
from sessions.aws.arn import InvalidArn, RoleArn
from sessions.catalog.team_view import TeamView, view_of_team
from sessions.db.clock import database_now
from sessions.models import AwsSession
from sessions.permissions import Action
from sessions.snippets.switch_roles import SwitchRole, switch_roles_ini


def switch_roles_of(actor: Actor) -> str:
    """Write the INI of AWS Extend Switch Roles with the sessions that the actor may start now."""
    view = view_of_team(actor, database_now())
    mine = [each for each in view.sessions.values() if view.rights.can(Action.START, each)]
    roles = (_role(each, view) for each in sorted(mine, key=lambda each: each.alias.casefold()))
    return switch_roles_ini(role for role in roles if role is not None)


def _role(session: AwsSession, view: TeamView) -> SwitchRole | None:
    assumer = view.sessions.get(session.link.assumer_id)
    try:
        arn = RoleArn.parse(session.link.role_arn)
        above = RoleArn.parse(assumer.link.role_arn) if assumer and assumer.is_chained else None
    except InvalidArn:
        return None
    if assumer is None:
        return None
    colours = [str(each.colour) for each in session.labels_shown if each.colour != "grey"]
    return SwitchRole(
        key=str(session.pk),
        profile=session.profile,
        role_arn=str(arn),
        region=session.region,
        colour=colours[0] if colours else "",
        assumer_key=str(assumer.pk),
        assumer_profile=assumer.profile,
        assumer_account=above.account if above else assumer.account,
        assumer_role_name=above.name if above else "",
    )
