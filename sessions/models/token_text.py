"""Make and recognise the texts of tokens: a prefix, 256 random bits, and a checksum.

`cwt_` is a person's, `cwr_` a robot's. Then come 43 random characters and 6 of CRC-32, all of
base 62, so that a scanner for secrets finds one by its form and a text that was cut off or mistyped
is told from one that is unknown without asking the database. Tokens of before had neither robots
nor a checksum: `cwt_` and 43 characters of base 64.
"""

import re
import secrets
import zlib

from sessions.secret import Secret

PERSON, ROBOT = "cwt_", "cwr_"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 43  # 62 ** 43 is more than 2 ** 256
CHECKSUM_LENGTH = 6  # 62 ** 6 is more than 2 ** 32

# What a scanner for secrets looks for; docs/api.md gives it.
PATTERN = rf"cw[tr]_[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}"
_NEW = re.compile(PATTERN)
_OLD = re.compile(r"cwt_[A-Za-z0-9_-]{43}")
_HEADER = re.compile(r"(?:(?i:Bearer)\s+)?(\S{1,128})\s*")


def new_text(prefix: str) -> Secret:
    """Make the text of a new token."""
    text = prefix + "".join(secrets.choice(DIGITS) for _ in range(RANDOM_LENGTH))
    return Secret(text + _checksum(text))


def from_header(header: str) -> Secret | None:
    """Return the token that an Authorization header holds, with or without “Bearer”.

    None for what cannot be one, by its form or by its checksum.
    """
    match = _HEADER.fullmatch(header)
    return Secret(match[1]) if match and is_well_formed(match[1]) else None


def is_well_formed(text: str) -> bool:
    """Tell whether a text can be a token, which nothing but the database knows for sure."""
    if _NEW.fullmatch(text):
        return _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]
    return _OLD.fullmatch(text) is not None


def _checksum(text: str) -> str:
    """Return the CRC-32 of a text in base 62, with leading zeros."""
    number, found = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(DIGITS))
        found = DIGITS[digit] + found
    return found
