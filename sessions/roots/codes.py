"""Keep a code that a root waits for: submitted once, it serves every chain under that root.

It is sealed to the workers, and the worker that takes it removes it before it asks AWS. Where AWS
gives no answer, the code is put back for as long as it can serve: AWS takes it once, and whether it
has is not known then.
"""

from collections.abc import Collection, Sequence

from django.db import transaction

from sessions import ledger, sealing
from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS, Challenge
from sessions.chains.requests import root_row
from sessions.credentials.outcomes import CODE_LIFE, TypedCode
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.roots import RootAnswered
from sessions.locks.team_lock import begin_answer
from sessions.models import AwsSession, Credential, RootAnswer
from sessions.secret import Secret


def code_challenges(root: AwsSession) -> list[Challenge]:
    """Return the challenges of this root that a person answers with a typed code."""
    return ROOT_KINDS[root.kind].code_challenges(root.settings)


@transaction.atomic
def submit_codes(root: AwsSession, actor: Actor, typed: dict[str, str]) -> None:
    """Store a member's typed codes by name and retry what waits for them. Raises `Refused`.

    The caller has looked whether the member may, and wakes a worker.
    """
    challenges = code_challenges(root)
    if not challenges:
        raise Refused("", f"“{root.alias}” needs no code.")
    checked = {each.name: _checked(each, typed.get(each.name, "")) for each in challenges}
    begin_answer(actor, root)
    row = root_row(root, str(actor.user_id) if ROOT_KINDS[root.kind].per_person else "")
    if row is None:
        raise Refused(
            "",
            ("No session waits for a code. Start a session that is assumed from this root first."),
        )
    now = database_now()
    RootAnswer.objects.filter(credential=row).delete()
    for name, code in checked.items():
        answer = RootAnswer(credential=row, name=name, given_by=actor.username, given_at=now)
        answer.sealed = sealing.seal_to_workers(code, answer.seal_context)
        answer.save(force_insert=True)
    retry_now([row])
    answered = RootAnswered(credential=row.pk, what=tuple(sorted(checked)))
    ledger.append(root.team_id, [Entry(answered, actor, root)])


def _checked(challenge: Challenge, text: str) -> Secret:
    text = text.strip().replace(" ", "")
    try:
        return Secret(challenge.validate(text) if challenge.validate else text)
    except ValueError as error:
        raise Refused(challenge.name, str(error)) from None


def retry_now(roots: Collection[Credential]) -> None:
    """Request these roots' credentials now, and all that stopped for want of them.

    Inside a transaction.
    """
    now = database_now()
    rows = Credential.objects.filter(pk__in=[row.pk for row in roots])
    rows.update(problem=None, due_at=now, asked_at=now, attempts=0)
    parents = [row.pk for row in roots]
    while parents:
        children = Credential.objects.filter(parent__in=parents)
        parents = list(children.values_list("pk", flat=True))
        stopped = children.filter(problem__hop=0)
        stopped.update(problem=None, due_at=now, asked_at=now, attempts=0)


def consume_codes(row: Credential) -> tuple[list[TypedCode], bool]:
    """Take the codes given for a row that this worker holds.

    They are gone with that. Tells as well whether any of them is too old.

    Raises `SealingError`; then it is left for a worker that can open it.
    """
    with transaction.atomic():
        stored = list(
            RootAnswer.objects.select_for_update()
            .filter(credential=row)
            .select_related("credential")
        )
        given = [
            TypedCode(
                each.name,
                sealing.open_as_worker(each.sealed, each.seal_context),
                each.given_by,
                each.given_at,
            )
            for each in stored
        ]
        RootAnswer.objects.filter(pk__in=[each.pk for each in stored]).delete()
    now = database_now()
    good = [each for each in given if each.ends_at > now]
    return good, len(good) < len(given)


def restore_codes(row: Credential, given: Sequence[TypedCode]) -> bool:
    """Seal the codes again that AWS has not answered about.

    False if new ones were given since. Inside the transaction that says so.
    """
    if not given or RootAnswer.objects.filter(credential=row).exists():
        return False
    for each in given:
        answer = RootAnswer(credential=row, name=each.name, given_by=each.by, given_at=each.at)
        answer.sealed = sealing.seal_to_workers(each.code, answer.seal_context)
        answer.save(force_insert=True)
    return True


def delete_old() -> int:
    """Delete codes that no worker has consumed in time. Run by the clock."""
    return RootAnswer.objects.filter(given_at__lte=database_now() - CODE_LIFE).delete()[0]
