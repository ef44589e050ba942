"""Replace an IAM user's key in place: create, verify, switch, deactivate and delete the old.

One call of `take_step` is one step. Which one is next is worked out again each time, from what is
stored and from what IAM lists, so that a worker may die anywhere: the next one repeats at most the
step in which it happened. The user never has more than two keys, and the one that is in use is
active throughout: the old key goes only after the new one was verified and is in use, by requests
that are signed with it (or with a session of the user, where MFA has to be shown).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from sessions.aws import iam
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, Unavailable
from sessions.aws.iam import AccessKey
from sessions.aws.proof import About
from sessions.aws.responses import CallerIdentity
from sessions.aws.sts import caller_identity

# How STS is asked whose a key is. It is another service than IAM: what one answers says nothing of
# the other.
WhoIs = Callable[[AwsCredentials, str], CallerIdentity]

# So long a new key may be unknown here and there at AWS before that counts as an error. It is
# seconds, as a rule.
GRACE = timedelta(minutes=5)
# What STS and IAM say of a key of which they have not heard yet, or of which they have heard only
# half.
NOT_KNOWN_YET = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}
)


class Step(StrEnum):
    """Name the steps in their order; `DONE` is last.

    `WITHDRAW` is the last one where a person gave up before the switch.
    """

    CREATE = "create"
    VERIFY = "verify"
    SWITCH = "switch"
    DEACTIVATE = "deactivate"
    DELETE = "delete"
    WITHDRAW = "withdraw"
    DONE = "done"


@dataclass(frozen=True)
class Rotation:
    """Hold what is stored of a rotation, apart from the new key's secret.

    Times are aware, in UTC.
    """

    user_name: str
    user_arn: str
    old_key_id: str
    new_key_id: str = ""
    created_at: datetime | None = None
    verified: bool = False
    withdrawn: bool = False


class Store(Protocol):
    """Read and write the stored root and its rotation.

    What a method writes is committed when it returns.
    """

    rotation: Rotation

    def key(self) -> AwsCredentials:
        """Return the root's long-lived key: the old one until `switch`, then the new one."""

    def new_key(self) -> AwsCredentials:
        """Return the key that `keep` was given."""

    def signing(self) -> AwsCredentials:
        """Return the credentials for IAM's calls.

        They are the root's key, or a session of it where MFA is required.
        """

    def keep(self, new: AwsCredentials, created_at: datetime) -> None:
        """Seal the new key and store it with the rotation.

        `new_key_id` and `created_at` are set; the key is not verified yet.
        """

    def mark_verified(self) -> None: ...

    def switch(self) -> None:
        """Have the root use the new key from now on."""


def begin(
    key: AwsCredentials, signing: AwsCredentials, region: str, who_is: WhoIs = caller_identity
) -> Rotation:
    """Return what to store before the first step for that key of the root.

    `signing` signs IAM's calls, as in `Store`.

    Raises `AwsError` where a rotation cannot be: nothing is changed then.
    """
    key_id = key.access_key_id
    who = who_is(key, region)
    kind, _, path = who.arn.split(":", 5)[5].partition("/")
    if kind != "user" or not path:
        raise Rejected(
            "NotAUser",
            0,
            "The key does not belong to an IAM user.",
            "Replace it where it comes from, then edit it here.",
        )
    user_name = path.rpartition("/")[2]
    keys = iam.list_keys(signing, user_name, region)
    if key_id not in keys or not keys[key_id].active:
        raise _key_gone("The root's key is not among the user's active keys.")
    if len(keys) > 1:
        raise _second_key("The user already has a second access key; AWS allows two.")
    return Rotation(user_name, who.arn, key_id)


def take_step(store: Store, region: str, now: datetime, who_is: WhoIs = caller_identity) -> Step:
    """Take the next step and return which it was.

    After `DONE` or `WITHDRAW` there is none.

    Raises `AwsError`: a retryable one where waiting helps, as while AWS does not know the new key
    everywhere.
    """
    try:
        keys = iam.list_keys(store.signing(), store.rotation.user_name, region)
        step = next_step(store.rotation, store.key().access_key_id, keys, now)
        _take(step, store, keys, region, now, who_is)
        return step
    except AwsError as error:
        if _may_be_too_early(error, store.rotation, now):
            raise _too_early(error) from None
        raise


def next_step(
    rotation: Rotation, current_key_id: str, keys: dict[str, AccessKey], now: datetime
) -> Step:
    """Return the step to take next.

    `keys` are IAM's, `current_key_id` is the root's. Raises `Rejected`.
    """
    old, new = keys.get(rotation.old_key_id), keys.get(rotation.new_key_id)
    if current_key_id == rotation.old_key_id:
        if old is None or not old.active:
            raise _key_gone("The root's key was deleted or deactivated during the rotation.")
        if rotation.withdrawn:
            return Step.WITHDRAW
        if new is None and not _is_fresh(rotation, now):
            return Step.CREATE
        return Step.SWITCH if rotation.verified else Step.VERIFY
    if current_key_id != rotation.new_key_id:
        raise Rejected(
            "KeyChanged",
            0,
            "The root was given another key during the rotation.",
            "Rotate the new key if needed, and delete unused keys in IAM.",
        )
    if old is None:
        return Step.DONE
    if new is None or not new.active:
        if _is_fresh(rotation, now):
            raise Unavailable("NewKeyNotListed", 0, "IAM does not list the new key yet.", _WAIT)
        raise _key_gone(
            "The root's new key was deleted or deactivated; the old one was left as it is."
        )
    return Step.DEACTIVATE if old.active else Step.DELETE


def _take(
    step: Step, store: Store, keys: dict[str, AccessKey], region: str, now: datetime, who_is: WhoIs
) -> None:
    rotation = store.rotation
    match step:
        case Step.CREATE:
            if _remove_lost(store, keys, region):
                raise _second_key(
                    "The user was given a second key during the rotation, and it is in use."
                )
            store.keep(_create(store, region), now)
        case Step.VERIFY:
            # It proves that AWS knows the key and its secret, and that it is this user's; nothing
            # else is needed of it.
            who = who_is(store.new_key(), region)
            if who.arn != rotation.user_arn:
                raise Rejected(
                    "OtherUser",
                    0,
                    "The new key is another user's.",
                    "Cancel the rotation and check the user in IAM.",
                )
            store.mark_verified()
        case Step.SWITCH:
            store.switch()
        case Step.DEACTIVATE:
            iam.deactivate_key(store.signing(), rotation.user_name, rotation.old_key_id, region)
        case Step.DELETE:
            iam.delete_key(store.signing(), rotation.user_name, rotation.old_key_id, region)
        case Step.WITHDRAW:
            if rotation.new_key_id in keys:
                iam.delete_key(store.signing(), rotation.user_name, rotation.new_key_id, region)
            _remove_lost(store, keys, region)


def _create(store: Store, region: str) -> AwsCredentials:
    try:
        return iam.create_key(store.signing(), store.rotation.user_name, region)
    except Rejected as error:
        if error.code != "LimitExceeded":
            raise
        # There is a second key that the list did not show: one whose creation was not answered,
        # most likely.
        raise Unavailable(
            "LimitExceeded", 0, "The user has a second key that IAM does not list yet.", _WAIT
        ) from None


def _remove_lost(store: Store, keys: dict[str, AccessKey], region: str) -> bool:
    """Delete the key of a worker that died before it stored it; True if another key is there.

    When the rotation began there was one key. Another that came since and was never used is that
    lost one: its secret was in an answer that nobody has.
    """
    in_use = False
    for key_id in keys.keys() - {store.rotation.old_key_id, store.rotation.new_key_id}:
        if iam.was_ever_used(store.signing(), key_id, region):
            in_use = True
        else:
            iam.delete_key(store.signing(), store.rotation.user_name, key_id, region)
    return in_use


def _is_fresh(rotation: Rotation, now: datetime) -> bool:
    return rotation.created_at is not None and now - rotation.created_at < GRACE


def _may_be_too_early(error: AwsError, rotation: Rotation, now: datetime) -> bool:
    may_be = error.code in NOT_KNOWN_YET and error.about is not About.CLOCK
    return may_be and _is_fresh(rotation, now)


def _too_early(error: AwsError) -> Unavailable:
    return Unavailable(error.code, 0, "AWS does not know the new key everywhere yet.", _WAIT)


def _key_gone(message: str) -> Rejected:
    return Rejected("KeyGone", 0, message, "Check the user's keys in IAM and enter one that works.")


def _second_key(message: str) -> Rejected:
    return Rejected("SecondKey", 0, message, "Delete the unused key in IAM, then rotate again.")


_WAIT = "AWS needs some seconds. Workers retry automatically."
