"""Turn text of any script into a part of a name that AWS takes.

It stays readable where it can, and no two texts become the same.
"""

import hashlib
import re
import unicodedata

NAME_CHARACTER = re.compile(r"[A-Za-z0-9_+=,.@-]", re.ASCII)
HASH_DIGITS = 8
# Of a readable name: enough that 50,000 aliases of which nothing is readable stay apart.
MARK_DIGITS = 12
LONGEST = 64

_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]*", re.ASCII)
_MARK = re.compile(rf"\+[0-9a-f]{{{MARK_DIGITS}}}\Z", re.ASCII)
# Letters that Unicode does not take apart into an ASCII letter and a mark.
_LATIN = str.maketrans(
    {
        "ß": "ss",
        "ẞ": "SS",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "đ": "d",
        "Đ": "D",
    }
    | {"ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "ı": "i"}
)


def spelt_out(text: str) -> tuple[str, bool]:
    """Spell a text in a name's characters.

    Accents go, Latin letters are spelt out, the rest becomes "-".

    The second tells whether a letter of another script is lost.
    """
    name, lost = "", False
    for character in unicodedata.normalize("NFKD", text.translate(_LATIN)):
        if NAME_CHARACTER.fullmatch(character):
            name += character
        elif not unicodedata.combining(character):
            lost = lost or character.isalnum()
            name += "-"
    return re.sub(r"-{2,}", "-", name).strip("-."), lost


def alone(text: str) -> str:
    """Return a part of a name that no other text becomes: itself if legal, else "readable+mark".

    What looks marked is marked as well: so nobody can type what another text becomes.
    """
    if _NAME.fullmatch(text) and not _MARK.search(text):
        return text
    name, _ = spelt_out(text)
    kept = name[: LONGEST - 1 - MARK_DIGITS].rstrip("-.")
    return f"{kept or 'session'}+{hash_of(text, MARK_DIGITS)}"


def hash_of(text: str, digits: int = HASH_DIGITS) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
