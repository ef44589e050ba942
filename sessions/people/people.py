"""Create teams and people, and choose their names in CloudTrail."""

from collections.abc import Iterator
from datetime import datetime

from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F

from sessions import ledger
from sessions.activations.moves import follow
from sessions.actors import AnyActor
from sessions.aws.names import InvalidName, aws_name_from, validate_role_session_name
from sessions.chains.impersonation import ShownNames
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.people import MemberAdded, MemberRenamed, TeamChanged, TeamCreated
from sessions.locks.team_lock import lock_team, require_still
from sessions.locks.versions import expect
from sessions.models import AwsName, Membership, Robot, Role, Team, User
from sessions.people.removals import lift_removal
from sessions.permissions import Action
from sessions.secret import Secret

LONGEST_AWS_NAME = 32
FORGOTTEN_AT_ONCE = 500
# Who acts in the ledger without being a person.
RESERVED_USERNAMES = frozenset(
    {"clock", "demo", "manage.py", "nobody", "setup", "sso", "system", "worker"}
)


# --- names in CloudTrail --------------------------------------------------------------------------


def _proposals(wanted: str) -> Iterator[str]:
    """Yield that name, then the same with a number."""
    yield wanted
    for number in range(2, 10_000):
        yield f"{wanted[: LONGEST_AWS_NAME - 1 - len(str(number))]}-{number}"


def propose_aws_name(username: str, email: str = "") -> str:
    """Make a legal handle of the username, or of what stands before the @ of the email address."""
    return aws_name_from((username or email).partition("@")[0] or username)


def _reserve(name: str, username: str, now: datetime, person_id: int | None = None) -> bool:
    """Reserve a name for a person for ever.

    False if it is, or ever was, somebody else's. Inside a transaction.
    """
    try:
        with transaction.atomic():
            AwsName.objects.create(
                key=name.lower(), name=name, username=username, person_id=person_id, held_from=now
            )
    except IntegrityError:
        back = AwsName.objects.filter(key=name.lower(), person_id=person_id) if person_id else None
        return bool(back is not None and back.update(name=name, held_until=None))
    return True


def _reserve_one_of(proposals: Iterator[str], username: str, now: datetime) -> str:
    shown = ShownNames()
    for name in proposals:
        if (
            name.lower() not in shown.owners
            and not shown.include(name)
            and _reserve(name, username, now)
        ):
            return name
    raise Refused("aws_name", "No free name in CloudTrail was found.")


def rename_in_cloudtrail(
    member: Membership, name: str, actor: AnyActor, *, seen: int | None = None
) -> None:
    """Give a person another CloudTrail name in all teams. What is active follows automatically.

    Raises `Refused` for an illegal name, for one that is or was another person's, and for one that
    sessions show of others. The caller wakes a worker.
    """
    try:
        validate_role_session_name(name)
    except InvalidName as error:
        raise Refused("aws_name", str(error)) from None
    if len(name) > LONGEST_AWS_NAME:
        raise Refused(
            "aws_name", f"At most {LONGEST_AWS_NAME} characters, so that templates have room."
        )
    # Before the teams are locked, since it looks at every session that there is.
    if name.lower() != member.user.aws_name.lower() and ShownNames().include(name, member.user_id):
        raise Refused(
            "aws_name",
            f"In some session “{name}” is the role session name of others, or would be:"
            " choose another.",
        )
    with transaction.atomic(durable=True):
        teams = sorted(
            Team.objects.filter(memberships__user=member.user_id).values_list("pk", flat=True)
        )
        for team_id in teams:
            lock_team(team_id)
        require_still(actor, Action.MANAGE_PEOPLE)
        user = User.objects.select_for_update().get(pk=member.user_id)
        old, now = user.aws_name, database_now()
        if name == old:
            return
        memberships = Membership.objects.filter(user=user)
        here = memberships.filter(pk=member.pk).first()
        expect(here.version if here else 0, seen)
        memberships.update(version=F("version") + 1)
        # The same letters in another case are the same name, to AWS's eye and to ours.
        if name.lower() != old.lower():
            if not _reserve(name, user.get_username(), now, user.pk):
                raise Refused(
                    "aws_name", "That name is, or was, another person's: it is never given again."
                )
            AwsName.objects.filter(key=old.lower()).update(held_until=now)
        else:
            AwsName.objects.filter(key=old.lower()).update(name=name)
        user.aws_name = name
        user.save(update_fields=["aws_name"])
        renamed = MemberRenamed(member=user.get_username(), aws_name=name, aws_name_before=old)
        for team_id in teams:
            follow(team_id, now, of=user.pk)
            ledger.append(team_id, [Entry(renamed, actor)])


# --- teams and people -----------------------------------------------------------------------------


def _checked(model: type[User | Team], field: str, value: str) -> None:
    """Check a value against its field; raises `Refused`.

    It may be too long, empty, or in letters the field does not take.
    """
    try:
        model._meta.get_field(field).clean(value, None)  # type: ignore[union-attr]  # a column of the table
    except ValidationError as error:
        raise Refused(field, " ".join(error.messages)) from None


@transaction.atomic
def create_team(slug: str, name: str, actor: AnyActor, *, ambient_enabled: bool = False) -> Team:
    """Create a team. Raises `Refused` for a short name that another team has, in whatever case."""
    _checked(Team, "slug", slug)
    _checked(Team, "name", name)
    try:
        with transaction.atomic():
            team = Team.objects.create(slug=slug, name=name, ambient_enabled=ambient_enabled)
    except IntegrityError:
        there = Team.objects.filter(slug__iexact=slug).values_list("slug", flat=True).first()
        raise Refused(
            "slug",
            f"There is a team {there!r} already: short names have to differ by more than upper and"
            " lower case.",
        ) from None
    told = TeamCreated(slug=slug, name=name, ambient_enabled=ambient_enabled)
    ledger.append(team.pk, [Entry(told, actor)])
    return team


@transaction.atomic
def enable_ambient(team: Team, actor: AnyActor) -> None:
    """Let a team use the workers' own AWS identity, as the operator decides."""
    team = lock_team(team.pk)
    if team.ambient_enabled:
        return
    Team.objects.filter(pk=team.pk).update(ambient_enabled=True)
    told = TeamChanged(ambient_enabled=True, before={"ambient_enabled": False})
    ledger.append(team.pk, [Entry(told, actor)])


@transaction.atomic
def register_person(user: User) -> User:
    """Save a new person, with a name in CloudTrail that nobody has or has had.

    Raises `Refused` for a username that is reserved, malformed, or another person's in whatever
    case.
    """
    _checked(User, "username", user.username)
    if user.username.lower() in RESERVED_USERNAMES:
        raise Refused(
            "username",
            f"{user.username!r} is reserved for the audit log. Choose another username.",
        )
    now = database_now()
    proposals = _proposals(propose_aws_name(user.get_username(), user.email))
    user.aws_name = _reserve_one_of(proposals, user.get_username(), now)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        there = (
            User.objects.filter(username__iexact=user.username)
            .values_list("username", flat=True)
            .first()
        )
        if there is None:
            raise
        raise Refused(
            "username",
            f"There is a person {there!r} already: usernames have to differ by more than upper and"
            " lower case.",
        ) from error
    AwsName.objects.filter(key=user.aws_name.lower()).update(person_id=user.pk)
    return user


def create_person(username: str, password: Secret | None, email: str = "") -> User:
    """Create a person, who without a password logs in by identity provider or a reset mail."""
    user = User(
        username=User.normalize_username(username), email=User.objects.normalize_email(email)
    )
    user.set_password(password.reveal() if password else None)
    return register_person(user)


def free_username(wanted: str) -> str:
    """Return a free ASCII username like that one.

    For people whom the identity provider brings.
    """
    for name in _proposals(aws_name_from(wanted).translate({ord("="): "-", ord(","): "-"})):
        taken = User.objects.filter(username__iexact=name).exists()
        if not taken and name.lower() not in RESERVED_USERNAMES:
            return name
    raise Refused("username", "No free username was found.")


@transaction.atomic
def add_member(
    team: Team, user: User, role: Role, actor: AnyActor, *, from_sso: bool = False
) -> Membership:
    """Add a person to a team, or change their role.

    By hand, it lifts a removal, and groups govern it no more.
    """
    lock_team(team.pk)
    if Robot.objects.filter(user=user).exists():
        raise Refused("", f"{user.get_username()} is a robot, which is in no team but its own.")
    read_at = database_now() if from_sso else None
    membership, created = Membership.objects.get_or_create(
        team=team,
        user=user,
        defaults={"role": role, "from_sso": from_sso, "groups_read_at": read_at},
    )
    role_before = None if created else membership.role
    if not created:
        membership.role, membership.from_sso, membership.groups_read_at = role, from_sso, read_at
        membership.version += 1
        membership.save(update_fields=["role", "from_sso", "groups_read_at", "version"])
    if not from_sso:
        lift_removal(team, user)
    added = MemberAdded(member=user.get_username(), role=role, aws_name=user.aws_name)
    if role_before:
        added = added.from_what_was({"role": role_before})
    ledger.append(team.pk, [Entry(added, actor)])
    return membership


def forget_ended_log_ins() -> None:
    """Delete ended logins, which Django keeps until somebody deletes them."""
    ended = Session.objects.filter(expire_date__lt=database_now())
    # In parts, since SQLite has one writer at a time; to find nothing, nobody waits for it.
    while some := list(ended.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        Session.objects.filter(pk__in=some).delete()
