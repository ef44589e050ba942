"""Handing out: the event first, durably committed; then, and only then, the secret is opened."""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from sessions import ledger
from sessions.aws.credentials import AwsCredentials
from sessions.clock import database_now
from sessions.ledger import Entry
from sessions.lifecycle import tallies
from sessions.lifecycle.blobs import open_credentials
from sessions.lifecycle.state import State, Status, state_of
from sessions.models import Activation, AwsSession, EventKind, Membership
from sessions.snippets import Snippet, SnippetFormat


@dataclass
class NotReady(Exception):
    """There is nothing to hand out now; `state` says why."""

    state: State


def reveal(session: AwsSession, member: Membership, *, form: str, via: str) -> AwsCredentials:
    """The member's own live credentials of that session. `form` is the snippet format, `via` page, API or token name.

    Raises `NotReady`. If the event cannot be written, that error is raised and nothing is opened.
    """
    with transaction.atomic(durable=True):
        activation = (
            Activation.objects.select_related("credential").filter(session=session, user=member.user).first()
        )
        now = database_now()
        state = state_of(activation, now)
        if activation is None or state.status is not Status.ACTIVE:
            raise NotReady(state)
        credential = activation.credential
        ledger.append(
            session.team_id,
            [
                Entry(
                    EventKind.CREDENTIAL_REVEALED,
                    member.user.get_username(),
                    session,
                    {
                        "access_key_id": credential.access_key_id,
                        "credential": credential.pk,
                        "expires_at": state.expires_at.isoformat(timespec="seconds")
                        if state.expires_at
                        else None,
                        "form": form,
                        "via": via,
                    },
                )
            ],
        )
    if credential.expires_at:
        tallies.served(credential.expires_at - now)
    return open_credentials(credential)


def hand_out(
    session: AwsSession, member: Membership, chosen: SnippetFormat, *, via: str, base_url: str
) -> str:
    """A snippet's text. One that holds credentials has its event written first. Raises `NotReady`.

    `base_url` is this installation's own address, ending in a slash, for the snippets that call back.
    """
    credentials = reveal(session, member, form=chosen.key, via=via) if chosen.secret else None
    return chosen.render(
        Snippet(
            credentials=credentials,
            profile=session.profile,
            region=session.region,
            endpoint_url=settings.SNIPPET_ENDPOINT_URL,
            credentials_url=f"{base_url}api/v1/sessions/{session.pk}/credentials?format=process",
        )
    )
