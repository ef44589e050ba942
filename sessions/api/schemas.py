"""Declare what goes in and out, as the OpenAPI document shows it."""

import inspect
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema

from sessions.activations.status import Status
from sessions.aws.hop_settings import HopSettings
from sessions.aws.parameters import parameters_of
from sessions.aws.roots import ROOT_KINDS
from sessions.forms.json_schema import changed_session, new_session
from sessions.models import CHAINED, Problem
from sessions.snippets import FORMATS


def one_of(*values: str) -> WithJsonSchema:
    """Show a text as one of these; what else is sent is refused in words of our own."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


# A NUL is in no text that a database keeps.
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Kind = Annotated[str, one_of(CHAINED, *ROOT_KINDS)]
Format = Annotated[str, one_of(*(key for key, each in FORMATS.items() if each.secret))]


# pydantic's own models, since ninja's Schema passes on no fields that it was not told of.
class FormatOut(BaseModel):
    """Describe one format of credentials.

    `group` is where the pages show it, `systems` those it is for, and `has_undo` says whether a
    text takes it back.
    """

    key: str
    label: str
    group: str
    filename: str
    language: str
    secret: bool
    systems: list[str]
    help: str
    has_undo: bool


class ProblemOut(BaseModel):
    """Show what stands in the way, at which hop (0 is the root), and what to check.

    `label`: what becomes of it meanwhile, as the pages say it; `people`: whom alone it concerns, if
    it is not everybody.
    """

    code: str
    hop: int
    message: str
    check: str
    since: datetime | None = None
    label: str = ""
    people: list[str] = []

    @classmethod
    def of(cls, problem: Problem | None) -> Self | None:
        return cls.model_validate(problem, from_attributes=True) if problem else None


class StepOut(BaseModel):
    """Describe one session of a chain, from the root down."""

    id: UUID
    alias: str
    kind: Kind


def document_hop(schema: dict[str, Any]) -> None:
    """Add what a chained session's hop is set to, as it is declared."""
    schema["properties"] |= {
        name: {"title": each.label, **each.kind.schema}
        for name, each in parameters_of(HopSettings).items()
    }


class SessionOut(BaseModel):
    """Show a session as its caller sees it.

    Settings of a root kind stand beside these fields; secrets never do. What a hop is set to, from
    `role_arn` on, only a chained session has.

    `role_session_name` is the template in its link; with `role_session_name_is_default`, the
    team's, which it follows.

    `sts_region`, of a root alone, is where AssumeRole is called for it and for every session
    assumed from it.

    `account` and `cloudtrail_arn` say who it is at AWS; of a root they are empty until a test,
    saved or not, has told them.

    `is_sensitive`: by its own mark, `sensitive`, or by one of its `labels`. Tokens get no
    credentials of it, unless the team's policy lets them.

    `minted_at` is the last success with what it asks for now: it stays when `expires_at` is over.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=document_hop)

    id: UUID
    version: int
    kind: Kind
    alias: str
    profile: str
    region: str
    sts_region: str | None = None
    labels: list[str] = []
    is_sensitive: bool = False
    account: str = ""
    cloudtrail_name: str = ""
    cloudtrail_arn: str = ""
    status: Status
    expires_at: datetime | None = None
    minted_at: datetime | None = None
    next_rotation_at: datetime | None = None
    ends_at: datetime | None = None
    problem: ProblemOut | None = None
    chain: list[StepOut]


class ProcessOut(BaseModel):
    """Give credentials as a `credential_process` prints them.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
    """

    Version: int = 1
    AccessKeyId: str
    SecretAccessKey: str
    SessionToken: str | None = None
    Expiration: datetime | None = None


def described_as(model: type[BaseModel], schema: dict[str, Any]) -> dict[str, Any]:
    """Give a schema made elsewhere the model's name and docstring."""
    return {"title": model.__name__, "description": inspect.cleandoc(model.__doc__ or ""), **schema}


class SessionIn(BaseModel):
    """Take the fields of the kind's form, by the same names. Unknown ones are refused.

    `role_session_name` left out, blank or null is the team's default, also after that has changed.

    `sts_region`, of a root alone, is a region of the same partition; left out or empty it is the
    root's own region.
    """

    model_config = ConfigDict(extra="allow")

    kind: str = CHAINED
    alias: str = ""
    profile: str = ""
    region: str = ""
    sts_region: str = ""
    labels: list[str] = []

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return described_as(cls, new_session())


class SessionPatch(BaseModel):
    """Hold any of the fields of the session's form.

    A field that is left out, or sent back as it was answered, stays.

    `role_session_name` blank or null goes back to the team's default.
    """

    model_config = ConfigDict(extra="allow")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return described_as(cls, changed_session())


class Chosen(BaseModel):
    """Choose sessions by id, at most 1000."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(max_length=1000)
