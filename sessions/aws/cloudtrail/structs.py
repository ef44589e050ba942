"""Parse "{key=value, key={…}, key=[…]}", as Athena, Presto and Elastic print a struct.

The notation has no quotes: a value ends at the comma, brace or bracket of its own level. A comma
within a value is told from one between values by what follows it: `key=`.
"""

import re

LONGEST = 1_000_000
DEEPEST = 12

_KEY = re.compile(r"\s*([A-Za-z_@][A-Za-z0-9_.:@/-]{0,127})=")
_EMPTY_STRUCT = re.compile(r"\s*\}")
_EMPTY_LIST = re.compile(r"\s*\]")
_END = re.compile(r"[,{}\[\]]")


class _NotAStruct(ValueError):
    pass


def parse(text: str) -> object:
    """Return the struct as dicts, lists, texts and None; None where the text is not a struct."""
    if len(text) > LONGEST:
        return None
    try:
        value, end = _value(text, 0, DEEPEST, in_list=False)
    except _NotAStruct:
        return None
    return value if isinstance(value, dict | list) and not text[end:].strip() else None


def _value(text: str, at: int, depth: int, *, in_list: bool) -> tuple[object, int]:
    """Return the value that begins at `at`, and where it ends."""
    if not depth:
        raise _NotAStruct
    while text[at : at + 1].isspace():
        at += 1
    if text[at : at + 1] == "{":
        return _struct(text, at + 1, depth)
    if text[at : at + 1] == "[":
        return _list(text, at + 1, depth)
    start, nested = at, 0
    while found := _END.search(text, at):
        mark, at = found.group(), found.end()
        if mark in "{[":
            nested += 1
        elif nested:
            nested -= mark in "}]"
        elif mark != "," or in_list or _KEY.match(text, at):
            at -= 1
            break
    else:
        at = len(text)
    word = text[start:at].strip()
    return (None if word == "null" else word), at


def _struct(text: str, at: int, depth: int) -> tuple[dict[str, object], int]:
    found: dict[str, object] = {}
    while True:
        if not found and (end := _EMPTY_STRUCT.match(text, at)):
            return found, end.end()
        key = _KEY.match(text, at)
        if key is None:
            raise _NotAStruct
        found[key[1]], at = _value(text, key.end(), depth - 1, in_list=False)
        at += 1
        if text[at - 1 : at] == "}":
            return found, at
        if text[at - 1 : at] != ",":
            raise _NotAStruct


def _list(text: str, at: int, depth: int) -> tuple[list[object], int]:
    found: list[object] = []
    while True:
        if not found and (end := _EMPTY_LIST.match(text, at)):
            return found, end.end()
        value, at = _value(text, at, depth - 1, in_list=True)
        found.append(value)
        at += 1
        if text[at - 1 : at] == "]":
            return found, at
        if text[at - 1 : at] != ",":
            raise _NotAStruct
