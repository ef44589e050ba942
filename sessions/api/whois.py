"""Answer whose a credential, a name or a record of CloudTrail was."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from pydantic import BaseModel, ConfigDict

from sessions.api.base import ERRORS, ApiError, api, caller_who_may
from sessions.api.schemas import one_of
from sessions.aws.cloudtrail.reading import Reading
from sessions.ledger.reading import record_question
from sessions.ledger.whois import Certainty, Issue
from sessions.ledger.whois.asking import Asked, CannotRead, ask
from sessions.permissions import Action


class IssueOut(BaseModel):
    """Show one issued credential; `hop` 0 is the root's own.

    `delivery` and `device`: it is a scoped one, for that delivery to that device alone.
    """

    seq: int
    issued_at: datetime
    expires_at: datetime | None = None
    access_key_id: str
    parent_access_key_id: str
    hop: int
    role_arn: str
    arn: str
    role_session_name: str
    principal_id: str
    source_identity: str
    sts_region: str
    request_id: str
    root_id: str
    delivery: str
    device: str
    people: list[str]
    session_id: str
    session_alias: str

    @classmethod
    def of(cls, issue: Issue) -> dict[str, Any]:
        own = {name: getattr(issue, name) for name in cls.model_fields if hasattr(issue, name)}
        return own | {"issued_at": issue.at, "expires_at": issue.until}


class DeliveryOut(BaseModel):
    """Show one time that somebody took the credential: how, by which token, from where.

    `counts`: it was before the asked call, so the call can come of it.
    """

    seq: int
    at: datetime
    person: str
    format: str
    via: str
    token_id: str
    token: str
    device: str
    address: str
    client: str
    expires_at: datetime | None = None
    counts: bool


class CandidateOut(BaseModel):
    """Show one person who may be meant; `same_address`: they took it from the call's address."""

    person: str
    sessions: list[str]
    access_key_ids: list[str]
    same_address: bool
    first_at: datetime
    last_at: datetime


class HeldOut(BaseModel):
    """Show what the person held besides at that moment."""

    access_key_id: str
    session_id: str
    session_alias: str
    taken_at: datetime
    expires_at: datetime


class WhoisOut(BaseModel):
    """Show one answer.

    `what` is what was recognised. `people` has one person where it is certain. `chain` goes from
    the root down to `issue`; `matches` are the last credentials that fit where no single one does,
    `alive` what else was issued for the role and lived then. `doubts` say what speaks against it,
    `next_steps` what to look up, `console` is CloudTrail's console with what was done.
    `record_names` is whom a pasted record itself names, by the field `record_named_by`, whatever
    Chainweb knows; `record_actor` is a person, service, workload, root, nobody or no call.
    `record_present`: a person was there, which a sign-in that failed does not show.
    """

    what: str
    certainty: Annotated[str, one_of(*(each.value for each in Certainty))]
    people: list[str]
    issue: IssueOut | None = None
    chain: list[IssueOut]
    root_key_id: str
    deliveries: list[DeliveryOut]
    candidates: list[CandidateOut]
    matches: list[IssueOut]
    below: list[IssueOut]
    alive: list[IssueOut]
    also_held: list[HeldOut]
    doubts: list[str]
    next_steps: list[str]
    console: str
    record_names: str = ""
    record_named_by: str = ""
    record_actor: str = ""
    record_present: bool | None = None
    record_notes: list[str]


class AnswersOut(BaseModel):
    """Show the answers: one to a value, one to each record; `unread` says what was left out."""

    answers: list[WhoisOut]
    unread: list[str]


class WhoisIn(BaseModel):
    """Ask about what is too long for an address, such as an event of CloudTrail as JSON text."""

    model_config = ConfigDict(extra="forbid")

    q: str = ""


@api.get(
    "/whois",
    response={200: AnswersOut, **ERRORS},
    exclude_none=True,
    summary="Ask whose a key, ARN, name, address or event was",
)
def whois(request: HttpRequest, q: str = "") -> Any:
    """Answer from the team's ledger. Admins may ask; 422 names what cannot be read."""
    return _answers(request, q)


@api.post(
    "/whois",
    response={200: AnswersOut, **ERRORS},
    exclude_none=True,
    summary="Ask whose an event of CloudTrail was",
)
def whois_of_event(request: HttpRequest, body: WhoisIn) -> Any:
    """Answer as the GET does."""
    return _answers(request, body.q)


def _answers(request: HttpRequest, text: str) -> dict[str, Any]:
    actor = caller_who_may(request, Action.READ_LEDGER)
    try:
        answers = ask(actor.team_id, text)
    except CannotRead as error:
        raise ApiError(422, "invalid", str(error), {"q": [str(error)]}) from None
    record_question(actor, text, answers)
    return {"answers": [_answer(each) for each in answers.found], "unread": answers.unread}


def _answer(asked: Asked) -> dict[str, Any]:
    answer = asked.answer
    return {
        "what": answer.clues.what,
        "certainty": answer.certainty.value,
        "people": answer.people,
        "issue": IssueOut.of(answer.issue) if answer.issue else None,
        "chain": [IssueOut.of(each) for each in answer.chain],
        "root_key_id": answer.root_key_id,
        "deliveries": [
            {
                "seq": each.seq,
                "at": each.at,
                "person": each.person,
                "format": each.form,
                "via": each.via,
                "token_id": each.origin.token_id,
                "token": each.origin.token,
                "device": each.origin.device,
                "address": each.origin.address,
                "client": each.origin.client,
                "expires_at": each.until,
                "counts": each in answer.taken,
            }
            for each in answer.deliveries
        ],
        "candidates": [
            {name: getattr(each, name) for name in CandidateOut.model_fields}
            for each in answer.candidates
        ],
        "matches": [IssueOut.of(each) for each in answer.matches],
        "alive": [IssueOut.of(each) for each in answer.alive],
        "below": [IssueOut.of(each) for each in answer.below],
        "also_held": [
            {
                "access_key_id": held.access_key_id,
                "session_id": held.session_id,
                "session_alias": held.session_alias,
                "taken_at": held.taken_at,
                "expires_at": held.until,
            }
            for held in answer.also_held
        ],
        "doubts": answer.doubts,
        "next_steps": answer.next_steps,
        "console": answer.console,
        **(_record(asked.reading) if asked.reading else {"record_notes": ()}),
    }


def _record(reading: Reading) -> dict[str, Any]:
    """Return what a record itself says."""
    return {
        "record_names": reading.who.name,
        "record_named_by": reading.who.named_by.value,
        "record_actor": reading.who.actor.value,
        "record_present": reading.present,
        "record_notes": reading.notes,
    }
