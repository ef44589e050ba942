"""Write a team of any size by SQL in seconds.

The part that is asked about is the same in each size.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models

from sessions.activations.start_stop import start_session
from sessions.actors import Actor, NamedActor
from sessions.aws.credentials import AwsCredentials
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.sessions import Draft, save_session
from sessions.chains.requests import root_row
from sessions.credentials.payloads import seal_credentials
from sessions.db.clock import database_now
from sessions.ledger.drift.imports import take_file
from sessions.ledger.drift.reading import read_file
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.models import (
    CHAINED,
    Activation,
    AssumerLink,
    AwsSession,
    ConsoleSignIn,
    Credential,
    Event,
    Label,
    LedgerHead,
    Membership,
    Probe,
    Role,
    SessionGrant,
    Token,
    TrailImport,
    TrailRecord,
    TrustRule,
)
from sessions.people.invitations import invite
from sessions.people.memberships import remove_member
from sessions.people.people import add_member, create_person, create_team
from sessions.people.robots import RobotDraft, create_robot
from sessions.people.searches import save_search
from sessions.people.tokens import create_token
from sessions.roots.approvals import ask_approval
from sessions.secret import Secret

REGION = "eu-west-1"
PASSWORD = "correct horse battery staple"
BYSTANDERS = 20
# One session in so many is started by somebody, is closed to all but two, has the alias in its
# name. The closed ones are ends of chains.
STARTED, CLOSED, NAMED = 2, 30, 3


@dataclass(frozen=True)
class LargeTeam:
    """Hold the things that requests are about, made by the product's own functions."""

    admin: Membership
    member: Membership
    leaver: Membership
    removed_id: int
    bystanders: list[Membership]
    big_root: AwsSession
    root: AwsSession
    code_root: AwsSession
    approval_root: AwsSession
    session: AwsSession
    child: AwsSession
    waiting: AwsSession
    own: AwsSession
    closed: AwsSession
    tokens: dict[str, Secret]
    samples: dict[str, Any]


def build(slug: str = "large") -> LargeTeam:
    """Make the team and what is asked about in it. Nobody calls AWS."""
    team = create_team(slug, slug.title(), actor=NamedActor("bench"))

    def person(name: str, role: Role) -> Membership:
        user = create_person(f"{slug}-{name}", Secret(PASSWORD))
        return add_member(team, user, role, actor=NamedActor("bench"))

    admin, member, leaver = (
        person("ada", Role.ADMIN),
        person("ben", Role.MEMBER),
        person("cal", Role.MEMBER),
    )
    removed = person("dan", Role.MEMBER)
    remove_member(removed, NamedActor("bench"))
    bystanders = [person(f"by-{number}", Role.MEMBER) for number in range(BYSTANDERS)]

    def root(alias: str, **settings: str) -> AwsSession:
        return save_session(
            Draft(
                kind="iam-user",
                alias=alias,
                profile=alias.lower().replace(" ", "-"),
                region=REGION,
                settings={"access_key_id": f"AKIA{abs(hash(alias)) % 10**12:012}", **settings},
                secrets={"secret_access_key": Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")},
            ),
            Actor(admin),
        )

    def chained(alias: str, assumer: AwsSession, by: Membership = admin) -> AwsSession:
        return save_session(
            Draft(
                kind=CHAINED,
                alias=alias,
                profile=alias.lower().replace(" ", "-"),
                region=REGION,
                assumer=assumer,
                hop=HopSettings(
                    role_arn=f"arn:aws:iam::111122223333:role/{alias.replace(' ', '')}",
                    role_session_name="{username}",
                ),
            ),
            Actor(by),
        )

    big_root, own_root = root("Big root"), root("Subject root")
    code_root = root("Code root", mfa_serial="arn:aws:iam::111122223333:mfa/device")
    portal = {
        "start_url": "https://d-0000000000.awsapps.com/start",
        "sso_region": REGION,
        "account_id": "111122223333",
        "role_name": "Deploy",
    }
    approval_root = save_session(
        Draft(
            kind="identity-center", alias="Portal", profile="portal", region=REGION, settings=portal
        ),
        Actor(admin),
    )
    # Open to whoever the requests come from: a new root is closed.
    AwsSession.objects.filter(team=team).update(open_to_assume=True)
    session = chained("Subject", own_root)
    child, waiting = chained("Subject child", session), chained("Waiting", code_root)
    own = chained("Own", own_root, member)
    closed, way = chained("Closed", own_root), chained("Another way", own_root)
    AssumerLink.objects.filter(session=way).update(role_arn=closed.link.role_arn)
    nobody = Audience(everyone=False)
    set_access(closed, Access(nobody, nobody), Actor(admin))
    for each in (session, child):
        _activate(start_session(each, Actor(member)).credential)
    start_session(waiting, Actor(member))
    ask_approval(approval_root, Actor(admin))
    tokens = {
        name: create_token(who, "bench", NamedActor("bench"))
        for name, who in (("admin", admin), ("member", member))
    }
    group = save_group(Actor(admin), "Group", [leaver])
    samples = {
        "team_slug": slug,
        "session_id": session.pk,
        "alias": session.alias,
        "label_id": Label.objects.create(team=team, name="label").pk,
        "sign_in_id": (
            ConsoleSignIn.objects.create(
                team=team,
                session=session,
                user=admin.user,
                region=REGION,
                ends_at=database_now() + timedelta(days=1),
            ).pk
        ),
        "group_id": group.pk,
        **_imported(admin),
        "search_id": save_search(Actor(admin), "events", "Theirs", "kind=credential").pk,
        "invitation_id": invite(Actor(admin), Role.MEMBER)[0].pk,
        "person_id": leaver.user_id,
        "token_id": _token_of(leaver).pk,
        **_robot(admin, session),
        "probe_id": (
            Probe.objects.create(
                team=team,
                user=admin.user,
                kind="iam-user",
                region=REGION,
                ends_at=database_now() + timedelta(days=1),
            ).pk
        ),
    }
    return LargeTeam(
        admin,
        member,
        leaver,
        removed.user_id,
        bystanders,
        big_root,
        own_root,
        code_root,
        approval_root,
        session,
        child,
        waiting,
        own,
        closed,
        tokens,
        samples,
    )


def _imported(admin: Membership) -> dict[str, Any]:
    """Import one record of CloudTrail; return its number and its import's."""
    record = {"eventName": "GetObject", "userIdentity": {"type": "Root"}, "eventID": "bench"}
    taken = take_file(Actor(admin), "bench", [json.dumps(record).encode()])
    held = TrailImport.objects.hold(taken.pk)
    assert held is not None
    read_file(held)
    return {
        "import_id": taken.pk,
        "record_id": TrailRecord.objects.get(trail_import=taken).pk,
    }


def _robot(admin: Membership, session: AwsSession) -> dict[str, Any]:
    """Make a robot that trusts somebody; return both numbers."""
    name = f"deploy-{admin.team.slug}"
    robot = create_robot(RobotDraft(name, admin, sessions=[session]), Actor(admin))
    rule = TrustRule.objects.create(
        robot=robot,
        name="main",
        issuer="https://issuer.example",
        audience="chainweb",
        claims={"sub": "somebody"},
        scopes=["read"],
    )
    return {"robot_id": robot.pk, "rule_id": rule.pk}


def _token_of(member: Membership) -> Token:
    create_token(member, "theirs", NamedActor("bench"))
    return Token.objects.get(user=member.user)


def _activate(leaf: Credential) -> None:
    """Write what a first mint leaves behind: something to deliver."""
    now = database_now()
    leaf.generation, leaf.access_key_id = 1, "ASIAIOSFODNN7EXAMPLE"
    leaf.minted_at, leaf.expires_at, leaf.due_at = (
        now,
        now + timedelta(hours=1),
        now + timedelta(minutes=40),
    )
    given = AwsCredentials(leaf.access_key_id, Secret("s" * 40), Secret("t" * 300), leaf.expires_at)
    leaf.sealed = seal_credentials(leaf, given, 1)
    leaf.save()


# --- everybody and everything else ----------------------------------------------------------------


def crowd(team: LargeTeam, first: int, last: int) -> None:
    """Add the sessions of these numbers with their events.

    In chains of up to three from the big root.
    """
    if first > last:
        return
    now = database_now()
    users = _choice([each.user_id for each in team.bystanders])
    root = root_row(team.big_root, make=True)
    assert root is not None
    chained: dict[str, str] = {"session_id": _uuid("5"), "id": _uuid("5")}
    _insert(
        AwsSession,
        first,
        last,
        id=_uuid("5"),
        team_id=_literal(AwsSession, "team", team.admin.team_id),
        kind=f"'{CHAINED}'",
        alias="'Crowd-' || i",
        shown_alias="'crowd-' || i",
        profile="'crowd-' || i",
        region=f"'{REGION}'",
        created_by_id=users,
        created_at=_literal(AwsSession, "created_at", now),
        updated_at=_literal(AwsSession, "updated_at", now),
        open_to_start=f"i % {CLOSED} <> 0",
        open_to_assume=f"i % {CLOSED} <> 0",
    )
    _insert(
        AssumerLink,
        first,
        last,
        session_id=chained["session_id"],
        assumer_id=(
            f"CASE WHEN i % 3 = 1 THEN {_literal(AwsSession, 'id', team.big_root.pk)} "
            f"ELSE {_uuid('5', 'i - 1')} END"
        ),
        role_arn="'arn:aws:iam::' || (200000000000 + i) || ':role/Crowd'",
        role_session_name=(
            f"CASE WHEN i % {NAMED} = 0 THEN '{{username}}-{{alias}}' ELSE '{{username}}' END"
        ),
        author_id=users,
    )
    for member_id in (_choice([each.pk for each in team.bystanders]), str(team.member.pk)):
        _insert(
            SessionGrant,
            first,
            last,
            where=f"i % {CLOSED} = 0",
            session_id=_uuid("5"),
            right="'start'",
            member_id=member_id,
        )
    started = f"i % {STARTED} = 0"
    _insert(
        Credential,
        first,
        last,
        where=started,
        fingerprint=_hex("c", 64),
        team_id=_literal(AwsSession, "team", team.admin.team_id),
        root_id=_literal(AwsSession, "id", team.big_root.pk),
        parent_id=f"'{root.pk}'",
        level="(i - 1) % 3 + 1",
        minted_at=_literal(Credential, "minted_at", now),
        expires_at=_literal(Credential, "expires_at", now + timedelta(hours=1)),
        due_at=_literal(Credential, "due_at", now + timedelta(minutes=40)),
        access_key_id="'ASIA' || i",
        sealed=_literal(Credential, "sealed", b"sealed"),
    )
    _insert(
        Activation,
        first,
        last,
        where=started,
        id=_uuid("a"),
        session_id=_uuid("5"),
        user_id=users,
        credential_id=_hex("c", 64),
        started_at=_literal(Activation, "started_at", now),
        ends_at=_literal(Activation, "ends_at", now + timedelta(hours=12)),
    )
    _happen(team, first, last, now)


def _happen(team: LargeTeam, first: int, last: int, now: datetime) -> None:
    """Write the ledger's lines: each started session was minted and delivered.

    Their hashes are invented.
    """
    head = LedgerHead.objects.get(pk=str(team.admin.team_id))
    names = _choice([f"'{each.user.get_username()}'" for each in team.bystanders])
    ends = now + timedelta(hours=1)
    minted = CredentialMinted.read({"access_key_id": "ASIA", "expires_at": ends.isoformat()})
    revealed = CredentialRevealed(
        access_key_id="ASIA", credential="", expires_at=ends, form="posix", via="page"
    )
    for at, said in enumerate((minted, revealed)):
        _insert(
            Event,
            first,
            last,
            team_id=f"'{team.admin.team_id}'",
            seq=f"{head.seq} + 2 * (i - {first}) + {at + 1}",
            at=_literal(Event, "at", now),
            kind=f"'{said.tag}'",
            actor="'worker'" if at == 0 else names,
            session_id=_uuid("5"),
            session_alias="'Crowd-' || i",
            data=f"'{json.dumps(said.as_data())}'",
            prev="'made up'",
            hash="'made up'",
        )
    LedgerHead.objects.filter(pk=head.pk).update(seq=head.seq + 2 * (last - first + 1))


def _insert(
    model: type[models.Model], first: int, last: int, *, where: str = "1 = 1", **given: str
) -> None:
    """Insert one row for each number `i`; a column that is not given has its field's default."""
    columns: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        name = field.column or field.name
        if name in given:
            columns[name] = given[name]
        elif not (field.primary_key and isinstance(field, models.AutoField)):
            columns[name] = _literal(model, field.name, field.get_default())
    unknown = set(given) - set(columns)
    assert not unknown, unknown
    names = ", ".join(f'"{name}"' for name in columns)
    statement = (
        f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
        f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {", ".join(columns.values())} FROM'
        f" n WHERE {where}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _literal(model: type[models.Model], name: str, value: Any) -> str:
    """Return a value as SQL has it."""
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    prepared = target.get_db_prep_save(value, connection)
    if hasattr(prepared, "obj"):
        prepared = prepared.dumps(prepared.obj) if hasattr(prepared, "dumps") else prepared.obj
    match prepared:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if prepared else "FALSE"
        case int() | float():
            return str(prepared)
        case bytes() | memoryview():
            raw = bytes(prepared).hex()
            return f"X'{raw}'" if connection.vendor == "sqlite" else f"'\\x{raw}'::bytea"
        case _:
            text = str(prepared).replace("'", "''")
            kind = (
                "::uuid"
                if isinstance(target, models.UUIDField) and connection.vendor != "sqlite"
                else ""
            )
            stamp = isinstance(target, models.DateTimeField) and connection.vendor != "sqlite"
            return f"'{text}'{kind}{'::timestamptz' if stamp else ''}"


def _uuid(kind: str, number: str = "i") -> str:
    text = _hex(kind, 32, number)
    return text if connection.vendor == "sqlite" else f"({text})::uuid"


def _hex(kind: str, length: int, number: str = "i") -> str:
    if connection.vendor == "sqlite":
        return f"'{kind}' || printf('%0{length - 1}x', {number})"
    return f"'{kind}' || lpad(to_hex({number}), {length - 1}, '0')"


def _choice(values: list[Any]) -> str:
    """Return SQL that takes one of these values in turn for each number `i`."""
    cases = " ".join(f"WHEN {at} THEN {value}" for at, value in enumerate(values))
    return f"CASE i % {len(values)} {cases} END"
