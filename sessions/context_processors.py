"""Provide what every page's template needs."""

from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from sessions.actors import Actor
from sessions.ledger.siem.stream import late
from sessions.ledger.standing import standing_of
from sessions.models import Role, User
from sessions.permissions import Action, can, memberships_of
from sessions.roots.notices import broken_roots


def page(request: HttpRequest) -> dict[str, Any]:
    """Return the membership that the view has set on the request.

    On pages without a team it is the first.
    """
    context: dict[str, Any] = {
        "simulated": settings.SIMULATED,
        "membership": None,
        "memberships": [],
        "has_identity_provider": bool(settings.OIDC_ISSUER or settings.SAML_IDP_METADATA_URL),
    }
    user = getattr(request, "user", None)
    if isinstance(user, User):
        context["memberships"] = list(memberships_of(user))
        context["membership"] = getattr(request, "membership", None) or next(
            iter(context["memberships"]), None
        )
    member = context["membership"]
    for name, action in (("ledger", Action.READ_LEDGER), ("policy", Action.READ_POLICY)):
        context[f"may_read_{name}"] = member is not None and can(Actor(member), action)
    if member is not None and context["may_read_ledger"]:
        # Called where a page shows them: those of the ledger.
        context["ledger_standing"] = partial(standing_of, member.team_id)
        context["ledger_siem_lags"] = partial(late, member.team_id)
    if member is not None and member.role == Role.ADMIN:
        context["broken_roots"] = broken_roots(member)
    return context
