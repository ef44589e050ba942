"""Names and their rules. Each has one validator; it returns the text or raises `InvalidName`."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

import botocore.session


class InvalidName(ValueError):
    """The message says what is wrong, for the field it was typed in."""


PLACEHOLDERS = ("username", "alias", "team")
NAME_CHARACTERS = "A-Za-z0-9_+=,.@-"


@lru_cache(maxsize=1)
def regions() -> dict[str, list[str]]:
    session = botocore.session.Session()
    return {p: sorted(session.get_available_regions("sts", p)) for p in session.get_available_partitions()}


def partitions() -> list[str]:
    return list(regions())


def partition_of(region: str) -> str:
    for partition, names in regions().items():
        if region in names:
            return partition
    raise InvalidName(f"There is no region {region!r}.")


def validate_region(text: str) -> str:
    partition_of(text)
    return text


def validate_role_session_name(text: str) -> str:
    if not re.fullmatch(rf"[{NAME_CHARACTERS}]{{2,64}}", text, re.ASCII):
        raise InvalidName("A role session name is 2 to 64 letters, digits or _+=,.@- without blanks.")
    return text


def validate_external_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", text, re.ASCII):
        raise InvalidName("An external ID is 2 to 1224 letters, digits or _+=,.@:/-.")
    return text


def validate_profile(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+=,@:/-]{0,63}", text, re.ASCII):
        raise InvalidName("A profile is letters, digits or _.+=,@:/-.")
    return text


def render_role_session_name(template: str, values: Mapping[str, str]) -> str:
    text = re.sub(r"\{([a-z]+)\}", lambda m: re.sub(rf"[^{NAME_CHARACTERS}]", "-", values[m[1]]), template)
    if len(text) > 64:
        text = text[:55] + "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return validate_role_session_name(text)


def validate_role_session_name_template(text: str) -> str:
    for name in re.findall(r"\{([^{}]*)\}", text):
        if name not in PLACEHOLDERS:
            raise InvalidName(f"There is no {{{name}}}.")
    render_role_session_name(text, dict.fromkeys(PLACEHOLDERS, "xx"))
    return text


def aws_name_from(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(rf"[^{NAME_CHARACTERS}]+", "-", ascii_text).strip("-")[:32]
    return name if len(name) >= 2 else f"u-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
