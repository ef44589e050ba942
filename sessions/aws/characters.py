"""Find invisible characters in pasted text: stripped at the ends, named inside."""

import unicodedata

# What may stand around a pasted text without being meant: every blank, and marks of no width.
_AROUND = frozenset(
    " \t\n\r\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# Blanks that are meant where they stand between words; the second is that of Japanese and Chinese.
_SPACES = frozenset(" \u3000")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})
_NAMES = {
    " ": "a space",
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a carriage return",
    "\x00": "a NUL",
    "\x1b": "an escape character",
    "\u00a0": "a no-break space",
    "\u00ad": "a soft hyphen",
    "\u2028": "a line separator",
    "\u2029": "a paragraph separator",
    "\ufeff": "a byte order mark",
}


def trimmed(text: str) -> str:
    """Take unseen characters off both ends; what is inside stays."""
    start, end = 0, len(text)
    while start < end and text[start] in _AROUND:
        start += 1
    while end > start and text[end - 1] in _AROUND:
        end -= 1
    return text[start:end]


def unseen_in(text: str) -> str:
    """Describe the first unseen character: "a tab at position 4".

    Empty without one.
    """
    for position, character in enumerate(text, start=1):
        if unicodedata.category(character) in _UNSEEN and character not in _SPACES:
            return f"{name_of(character)} at position {position}"
    return ""


def refuse_unseen(text: str) -> str:
    """Return the text unless it has an unseen character.

    Raises ValueError, naming the character.
    """
    if found := unseen_in(text):
        raise ValueError(f"It contains {found}.")
    return text


def name_of(character: str) -> str:
    """Name an unseen character in words, as a message has it."""
    if character in _NAMES:
        return _NAMES[character]
    category = unicodedata.category(character)
    if category == "Cs":
        return "half a surrogate pair"
    name = unicodedata.name(character, "").lower()
    if not name:
        return f"a control character (U+{ord(character):04X})"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def shown(text: str) -> str:
    """Show a piece of typed text, short and unambiguous.

    Nothing in it can be taken for something else.
    """
    if len(text) == 1 and not ("!" <= text <= "~"):
        code = f"U+{ord(text):04X}"
        if unicodedata.category(text) in _UNSEEN:
            name = name_of(text)
            return name if code in name else f"{name} ({code})"
        name = unicodedata.name(text, "unnamed").lower()
        return f"“{text}” ({code}, {name})" if text.isprintable() else f"({code}, {name})"
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:40])
    return f"“{printable}{'…' if len(text) > 40 else ''}”"


def outsider(text: str, allowed: str) -> str:
    """Locate the first character outside ASCII or `allowed`: "; character 4 is …", or empty."""
    for position, character in enumerate(text, start=1):
        if not (character.isascii() and (character.isalnum() or character in allowed)):
            return f"; character {position} is {shown(character)}"
    return ""
