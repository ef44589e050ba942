"""Show and change a team's people.

Invite, change, suspend and remove them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from sessions import tasks
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.conflicts import Stored, VersionedForm, status_of
from sessions.forms.people import AwsNameForm, InviteForm, RoleForm, people_of
from sessions.ledger.events.people import (
    MemberAdded,
    MemberReinstated,
    MemberRenamed,
    MemberRoleChanged,
    MemberSuspended,
)
from sessions.ledger.held import held_by, name_of_former_member
from sessions.locks.versions import last_change
from sessions.models import (
    Activation,
    AwsName,
    AwsSession,
    Invitation,
    Membership,
    Role,
    Team,
    Token,
)
from sessions.people.invitations import invite, revoke_invitation
from sessions.people.memberships import (
    change_role,
    disable_member,
    enable_member,
    orphaned_sessions,
    remove_member,
)
from sessions.people.people import rename_in_cloudtrail
from sessions.people.removals import readmit, removals_of
from sessions.permissions import Action, can
from sessions.views.guards import member_in, recently_logged_in

# A page lists so many of what a person has, and says how many more there are.
SHOWN = 50
CHANGES = (
    *(MemberAdded.tag, MemberRoleChanged.tag, MemberRenamed.tag),
    *(MemberSuspended.tag, MemberReinstated.tag),
)


@login_required
@require_safe
def people(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List the team's people, open invitations, groups and sessions without an owner."""
    actor = member_in(request, team_slug, Action.SEE_PEOPLE)
    now = database_now()
    invitations = Invitation.objects.filter(team=actor.team, ended_at=None, expires_at__gt=now)
    context = {
        "people": people_of(actor.team).prefetch_related("groups"),
        "invitations": invitations.order_by("expires_at"),
        "groups": actor.team.groups.prefetch_related("members__user"),
        "orphaned": orphaned_sessions(actor.team),
        "removals": removals_of(actor.team),
        "may_manage": can(actor, Action.MANAGE_PEOPLE),
    }
    return render(request, "people/list.html", context)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def invite_person(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Create an invitation and show its link, this once."""
    actor = member_in(request, team_slug, Action.MANAGE_PEOPLE)
    form = InviteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        try:
            invitation, code = invite(actor, Role(wanted["role"]), wanted["note"], wanted["days"])
        except Refused as refused:
            form.add_error(None, refused.message)
        else:
            # After the #, so that the code is in no log and no Referer.
            link = f"{request.build_absolute_uri(reverse('join'))}#{code.reveal()}"
            return render(request, "people/invited.html", {"invitation": invitation, "link": link})
    return render(request, "people/invite.html", {"form": form}, status=422 if form.errors else 200)


@recently_logged_in
@require_POST
def withdraw_invitation(request: HttpRequest, team_slug: str, invitation_id: Any) -> HttpResponse:
    actor = member_in(request, team_slug, Action.MANAGE_PEOPLE)
    invitation = get_object_or_404(Invitation, pk=invitation_id, team=actor.team)
    if revoke_invitation(invitation, actor):
        messages.success(request, "Invitation withdrawn.")
    return redirect("people", team_slug)


# --- one person -----------------------------------------------------------------------------------


def _person(
    request: HttpRequest, team_slug: str, person_id: int, action: Action
) -> tuple[Actor, Membership]:
    """Return the caller and the member of their team whom the request is about."""
    actor = member_in(request, team_slug, action)
    return actor, get_object_or_404(
        people_of(actor.team).select_related("team"), user__id=person_id
    )


@login_required
@require_safe
def person_page(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    """Show a member, or one who was removed while the ledger knows what they took with them."""
    actor = member_in(request, team_slug, Action.SEE_PEOPLE)
    person = people_of(actor.team).filter(user__id=person_id).first()
    username = (
        person.user.get_username() if person else name_of_former_member(actor.team_id, person_id)
    )
    if not username:
        raise Http404
    return render(request, "people/person.html", _about(actor, person, username, person_id))


def _about(
    actor: Actor, person: Membership | None, username: str, person_id: int
) -> dict[str, Any]:
    held = held_by(actor.team_id, username, SHOWN + 1)
    context: dict[str, Any] = {
        "person": person,
        "username": username,
        "held": held[:SHOWN],
        "held_more": len(held) > SHOWN,
        "names": AwsName.objects.filter(person_id=person_id).order_by("-held_from"),
        "may_manage": can(actor, Action.MANAGE_PEOPLE),
        "removal": (
            removals_of(actor.team).filter(user=person_id).first() if person is None else None
        ),
    }
    if person is not None:
        now = database_now()
        context |= {
            **_active(actor.team, person_id),
            "tokens": (
                Token.objects.filter(
                    user=person_id, team=actor.team, revoked_at=None, expires_at__gt=now
                )
                .prefetch_related("sessions", "labels")
                .order_by("expires_at")
            ),
            "role_form": _opened(RoleForm(initial=_values(person), prefix="role"), person),
            "name_form": _opened(AwsNameForm(initial=_values(person)), person),
        }
    return context


def _values(person: Membership) -> dict[str, str]:
    return {"role": person.role, "aws_name": person.user.aws_name}


Form = TypeVar("Form", bound=VersionedForm)


def _opened(form: Form, person: Membership) -> Form:
    form.open_at(person.version, _values(person))
    return form


def _active(team: Team, person_id: int) -> dict[str, Any]:
    """Return the first sessions that a person has started, and how many more there are."""
    started = Activation.objects.filter(user=person_id, session__team=team).order_by("pk")
    count = started.count()
    shown = started.select_related("session")[:SHOWN]
    return {"active": shown, "active_count": count, "active_more": max(count - SHOWN, 0)}


def _change(
    request: HttpRequest,
    team_slug: str,
    person_id: int,
    act: Callable[[Actor, Membership], object],
    done: str,
) -> HttpResponse:
    """Do something to a person and go back to their page, which shows a refusal."""
    actor, person = _person(request, team_slug, person_id, Action.MANAGE_PEOPLE)
    try:
        act(actor, person)
    except Refused as refused:
        messages.error(request, refused.message)
    else:
        tasks.wake_after_change()
        messages.success(request, done.format(name=person.user.get_username()))
    return redirect("person", team_slug, person_id)


def _save_change(
    request: HttpRequest,
    ways: tuple[Actor, Membership],
    form: RoleForm | AwsNameForm,
    name: str,
    save: Callable[[int | None], object],
    done: str,
) -> HttpResponse:
    """Save one of a person's two forms.

    The form says what is wrong with it, or has changed meanwhile.
    """
    actor, person = ways
    _opened(form, person)

    def save_it(seen: int | None) -> bool:
        save(seen)
        return True

    def stored_again() -> Stored:
        fresh = get_object_or_404(people_of(actor.team), pk=person.pk)
        return fresh.version, _values(fresh), last_change(fresh, *CHANGES)

    if form.is_valid() and form.save_or_show(save_it, stored_again):
        tasks.wake_after_change()
        messages.success(request, done.format(name=person.user.get_username()))
        return redirect("person", actor.team.slug, person.user_id)
    context = _about(actor, person, person.user.get_username(), person.user_id) | {name: form}
    return render(request, "people/person.html", context, status=status_of(form))


@recently_logged_in
@require_POST
def person_role(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    actor, person = _person(request, team_slug, person_id, Action.MANAGE_PEOPLE)
    form = RoleForm(request.POST, prefix="role")

    def save(seen: int | None) -> None:
        change_role(person, Role(form.cleaned_data["role"]), actor, actor.user, seen=seen)

    role = dict(Role.choices).get(form["role"].data, "")
    return _save_change(
        request, (actor, person), form, "role_form", save, f"{{name}} is {role} now."
    )


@recently_logged_in
@require_POST
def person_name(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    actor, person = _person(request, team_slug, person_id, Action.MANAGE_PEOPLE)
    form = AwsNameForm(request.POST)

    def save(seen: int | None) -> None:
        rename_in_cloudtrail(person, form.cleaned_data["aws_name"], actor, seen=seen)

    name = str(form["aws_name"].data).replace("{", "").replace("}", "").strip()
    done = f"CloudTrail now shows {{name}} as {name}."
    return _save_change(request, (actor, person), form, "name_form", save, done)


@recently_logged_in
@require_POST
def person_disable(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    return _change(
        request,
        team_slug,
        person_id,
        lambda actor, person: disable_member(person, actor, actor.user),
        "{name} is suspended.",
    )


@recently_logged_in
@require_POST
def person_enable(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    return _change(
        request,
        team_slug,
        person_id,
        lambda actor, person: enable_member(person, actor),
        "{name} is reinstated.",
    )


@recently_logged_in
@require_POST
def person_readmit(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    """Lift a removal: from then on groups may bring the person back."""
    actor = member_in(request, team_slug, Action.MANAGE_PEOPLE)
    removal = get_object_or_404(removals_of(actor.team), user=person_id)
    try:
        readmit(removal, actor)
    except Refused as refused:
        messages.error(request, refused.message)
    else:
        name = removal.user.get_username()
        messages.success(
            request,
            f"{name} can join again: by invitation, or by single sign-on if their groups allow it.",
        )
    return redirect("person", team_slug, person_id)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def person_remove(request: HttpRequest, team_slug: str, person_id: int) -> HttpResponse:
    """Show what is lost with a person and what they still hold.

    On POST, remove the person from the team.
    """
    if request.method == "POST":
        return _change(
            request,
            team_slug,
            person_id,
            lambda actor, person: remove_member(person, actor, actor.user),
            "{name} is removed from the team.",
        )
    actor, person = _person(request, team_slug, person_id, Action.MANAGE_PEOPLE)
    context = _about(actor, person, person.user.get_username(), person_id)
    own = AwsSession.objects.filter(team=actor.team, link__author=person.user).order_by("pk")
    context |= {"own": own[:SHOWN], "own_more": max(own.count() - SHOWN, 0)}
    return render(request, "people/remove.html", context)
