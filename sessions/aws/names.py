"""Validate names, one validator each: it returns the text or raises `InvalidName` with the reason.

The limits are those of STS's own service model (botocore/data/sts/2011-06-15). AWS's `\\w` is ASCII
and its patterns cover the whole text, hence `re.ASCII` and `re.fullmatch` throughout.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader

from sessions.aws.characters import shown
from sessions.aws.readable import HASH_DIGITS, NAME_CHARACTER, hash_of, spelt_out

LONGEST_SESSION_NAME = 64
LONGEST_AWS_NAME = 32
LONGEST_PROFILE = 128
MOST_TAGS = 50

_PATH_LIKE_CHARACTER = re.compile(r"[A-Za-z0-9_+=,.@:/-]", re.ASCII)
_PROFILE_CHARACTER = re.compile(r"[A-Za-z0-9_/.%@:+-]", re.ASCII)


class InvalidName(ValueError):
    """Report what is wrong with a value, in words for the person who typed it."""


def validate_role_session_name(text: str) -> str:
    """Check for 2–64 of `[A-Za-z0-9_+=,.4]`: CloudTrail shows it after the role's name."""
    return validate_characters(
        text, "A role session name", 2, LONGEST_SESSION_NAME, NAME_CHARACTER, "_ + = , . @ -"
    )


def validate_source_identity(text: str) -> str:
    """Check a source identity, as a role session name; what begins with "aws:" is AWS's own."""
    if text.lower().startswith("aws:"):
        raise InvalidName("A source identity may not begin with “aws:”.")
    return validate_characters(
        text, "A source identity", 2, LONGEST_SESSION_NAME, NAME_CHARACTER, "_ + = , . @ -"
    )


def validate_external_id(text: str) -> str:
    """Accept 2–1224 of `[A-Za-z0-9_+=,.@:/-]`."""
    return validate_characters(
        text, "An external ID", 2, 1224, _PATH_LIKE_CHARACTER, "_ + = , . @ : / -"
    )


def new_external_id() -> str:
    """Draw 128 random bits as 32 hex digits: nobody guesses it, and no two links get the same."""
    return secrets.token_hex(16)


def validate_mfa_serial(text: str) -> str:
    """Validate an MFA serial: 9–256 of `[A-Za-z0-9_+=/:,.@-]`.

    It is a device's ARN, or the serial number of a hardware device.
    """
    return validate_characters(
        text, "An MFA serial", 9, 256, _PATH_LIKE_CHARACTER, "_ + = , . @ : / -"
    )


def validate_profile(text: str) -> str:
    """Accept 1–128 of `[A-Za-z0-9_/.%@:+-]`, which every AWS SDK reads as a profile's name."""
    validate_characters(
        text, "A named profile", 1, LONGEST_PROFILE, _PROFILE_CHARACTER, "_ - / . % @ : +"
    )
    # Python's reader of INI files, and so botocore, gives what stands under [DEFAULT] to every
    # other profile.
    if text == "DEFAULT":
        raise InvalidName(
            "The profile DEFAULT would change all the others; “default” is AWS's own."
        )
    return text


def validate_tags(tags: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Validate session tags: at most 50.

    Keys have 1–128 characters and differ by more than case; values have 0–256.
    """
    checked = tuple(tags)
    if len(checked) > MOST_TAGS:
        raise InvalidName(f"A session has at most {MOST_TAGS} tags.")
    seen: set[str] = set()
    for key, value in checked:
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidName("A tag's key is 1 to 128 characters long, its value at most 256.")
        if stray := [each for each in key + value if not _fits_a_tag(each)]:
            raise InvalidName(
                "A tag is made of letters, digits, spaces and _ . : / = + - @; not of"
                f" {shown(stray[0])}."
            )
        if key.lower().startswith("aws:"):
            raise InvalidName("A tag's key may not begin with “aws:”.")
        if key.lower() in seen:
            raise InvalidName(
                f"The tag {shown(key)} is there twice; upper and lower case are the same to AWS."
            )
        seen.add(key.lower())
    return checked


def regions() -> dict[str, list[str]]:
    """Return {partition: its regions, sorted}, the commercial partition first.

    This botocore knows them.
    """
    return {partition: list(names) for partition, names in _regions()}


def partitions() -> tuple[str, ...]:
    """List every partition this botocore knows: "aws", "aws-cn", "aws-us-gov", …"""
    return tuple(partition for partition, _ in _regions())


def partition_of(region: str) -> str:
    """Return a region's partition. Raises `InvalidName` for a region that does not exist."""
    for partition, names in _regions():
        if region in names:
            return partition
    raise InvalidName(f"There is no AWS region {shown(region)}. A region looks like eu-west-1.")


def dns_suffix(region: str) -> str:
    """Return what host names in a region's partition end in. Raises `InvalidName`."""
    return _dns_suffixes()[partition_of(region)]


def validate_region(text: str) -> str:
    partition_of(text)
    return text


def aws_name_from(text: str) -> str:
    """Propose a handle for CloudTrail from any person's name.

    It has 2–32 legal characters and is the same each time.

    Where a letter of another script is lost or the name is too long, a hash of the whole keeps
    distinct people distinct.
    """
    name, lost = spelt_out(text)
    if lost or not 2 <= len(name) <= LONGEST_AWS_NAME:
        kept = (name.rstrip("-") or "member")[: LONGEST_AWS_NAME - 1 - HASH_DIGITS]
        return f"{kept}-{hash_of(text)}"
    return name


def validate_characters(
    text: str, what: str, shortest: int, longest: int, character: re.Pattern[str], marks: str
) -> str:
    if _whole(character.pattern, shortest, longest).fullmatch(text):
        return text
    for position, each in enumerate(text, start=1):
        if not character.fullmatch(each):
            raise InvalidName(
                f"{what} is made of ASCII letters, digits and {marks}; character {position} is"
                f" {shown(each)}."
            )
    if not shortest <= len(text) <= longest:
        raise InvalidName(
            f"{what} is {shortest} to {longest} characters long; this one has {len(text)}."
        )
    return text


@lru_cache(maxsize=64)
def _whole(character: str, shortest: int, longest: int) -> re.Pattern[str]:
    return re.compile(f"{character}{{{shortest},{longest}}}", re.ASCII)


def _fits_a_tag(character: str) -> bool:
    # The model's \p{L}, \p{Z} and \p{N} are Unicode's letters, separators and numbers.
    return unicodedata.category(character)[0] in "LZN" or character in "_.:/=+-@"


@lru_cache(maxsize=1)
def _regions() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((each["partition"], tuple(sorted(each["regions"]))) for each in _partitions())


@lru_cache(maxsize=1)
def _dns_suffixes() -> dict[str, str]:
    return {each["partition"]: each["dnsSuffix"] for each in _partitions()}


def _partitions() -> list[dict[str, Any]]:
    # Only what botocore ships: its own loader would also look into the home folder.
    loader = Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
    )
    found: list[dict[str, Any]] = loader.load_data("endpoints")["partitions"]
    return found
