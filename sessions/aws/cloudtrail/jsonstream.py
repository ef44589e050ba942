"""Take JSON values out of a stream of text, one by one, in constant memory.

An array of records may be of any length: each element is a value of its own, whether the array is
the whole text or stands in an object ({"Records": […]}). Values may follow each other, on lines of
their own or not, and words may stand before them on their line, as in the output of `aws logs`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json import JSONDecodeError

from sessions.aws.cloudtrail.shapes import ARRAYS
from sessions.aws.cloudtrail.values import DECODER, RECORD_NAMES
from sessions.aws.cloudtrail.window import LARGEST_VALUE, Text

# A page of a search or a queue holds records at most this deep.
DEEPEST_ARRAY = 8

_KEY = re.compile(r'[ \t\r\n]*"([^"\\\x00-\x1f]{0,200})"[ \t\r\n]*:[ \t\r\n]*')
# What an error this near to the end of the buffer means, more text may change.
_MARGIN = 16
_LONGEST_KEY = 1024

CUT_OFF = "The text ends in the middle of a record: it was cut off."
TOO_LARGE = f"A single record is larger than {LARGEST_VALUE // 1_000_000} million characters."
TOO_DEEP = "The JSON is nested too deeply."
TOO_MANY_DIGITS = "A number in this record has too many digits."
NO_COMMA = "This is not JSON: a comma or the closing bracket is missing."
NO_NAME = "This is not JSON: the name of a field, in double quotes and with a colon, is missing."
NO_VALUE = "This is not JSON: a value is missing."
RAW_BREAK = "This is not JSON: a line break or control character stands within a text."
BAD_ESCAPE = "This is not JSON: what follows a backslash within a text is not allowed there."
_WORDS = {
    "Expecting ',' delimiter": NO_COMMA,
    "Expecting ':' delimiter": NO_NAME,
    "Expecting property name enclosed in double quotes": NO_NAME,
    "Expecting value": NO_VALUE,
    "Invalid control character at": RAW_BREAK,
}
NO_JSON = "There is no JSON on this line."


@dataclass(frozen=True, slots=True)
class Broken:
    """Say where the text is not JSON (line and column from 1) and why, in plain words."""

    line: int
    column: int
    reason: str


@dataclass(frozen=True, slots=True)
class Value:
    """Hold a JSON value and where it begins (line and column from 1)."""

    value: object
    line: int
    column: int


class _BadJson(Exception):
    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at, self.reason = at, reason


@dataclass
class _Array:
    """Read an array: a value may follow its beginning or a comma, and nothing else."""

    begun: bool = False
    complete: bool = False


@dataclass
class _Object:
    """Read an object key by key, since an array in it may be long."""

    line: int
    column: int
    found: dict[str, object] = field(default_factory=dict)
    streamed: bool = False
    begun: bool = False


class Values:
    """Yield each value of a text as `Value`, and `Broken` for what is not JSON."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self._open: list[_Array | _Object] = []
        self._recovering = False

    def __iter__(self) -> Iterator[Value | Broken]:
        while mark := self.text.peek():
            try:
                found = self._inside(mark) if self._open else self._on_top(mark)
            except _BadJson as error:
                yield self._broken(error)
                self._recover()
            else:
                if found is not None:
                    yield found
        if self._open:
            yield Broken(self.text.line, self.text.column, CUT_OFF)

    def _on_top(self, mark: str) -> Value | Broken | None:
        if mark in "{[":
            return self._begin(mark)
        if mark == '"':
            return self._value()
        if mark == "," or (mark in "]}" and self._recovering):
            self.text.advance(self.text.at + 1)
            return None
        return self._after_words()

    def _after_words(self) -> Value | Broken | None:
        """Read the record that follows words on its line."""
        text = self.text
        line, column = text.line, text.column
        while (end := text.buffer.find("\n", text.at)) < 0 and text.more():
            if len(text.buffer) - text.at > LARGEST_VALUE:
                break
        end = len(text.buffer) if end < 0 else end
        start = text.buffer.find("{", text.at, end)
        if start < 0:
            text.advance(end)
            return Broken(line, column, NO_JSON)
        text.advance(start)
        found = self._value()
        text.readline()
        return found

    def _inside(self, mark: str) -> Value | None:
        holder = self._open[-1]
        if isinstance(holder, _Array):
            return self._in_array(mark, holder)
        return self._in_object(mark, holder)

    def _in_array(self, mark: str, holder: _Array) -> Value | None:
        if mark == "]" and (holder.complete or not holder.begun):
            self._close()
        elif mark == "," and holder.complete:
            holder.complete = False
            self.text.advance(self.text.at + 1)
        elif mark in ",]":
            raise _BadJson(self.text.at, NO_VALUE)
        elif holder.complete:
            raise _BadJson(self.text.at, NO_COMMA)
        else:
            holder.begun = holder.complete = True
            return self._begin(mark) if mark in "{[" else self._value()
        return None

    def _in_object(self, mark: str, holder: _Object) -> Value | None:
        if mark == "}":
            self._close()
            return None if holder.streamed else Value(holder.found, holder.line, holder.column)
        if holder.begun:
            if mark != ",":
                raise _BadJson(self.text.at, NO_COMMA)
            self.text.advance(self.text.at + 1)
        holder.begun = True
        self._part(holder)
        return None

    def _part(self, holder: _Object) -> None:
        """Read one key of an object and its value, or begin the array that is its value."""
        name = self._name()
        mark = self.text.peek()
        if mark == "[" and name in ARRAYS:
            holder.streamed = True
            holder.found.clear()
            self._begin(mark)
            return
        value = self._value().value
        if not holder.streamed:
            holder.found[name] = value

    def _name(self) -> str:
        """Read the name of a field and the colon behind it."""
        text = self.text
        text.ensure(_LONGEST_KEY)
        if key := _KEY.match(text.buffer, text.at):
            text.advance(key.end())
            return key[1]
        # One that is long, or has escapes.
        mark = text.peek()
        name = self._value().value if mark == '"' else None
        if not isinstance(name, str) or text.peek() != ":":
            raise _BadJson(text.at, NO_NAME if text.peek() else CUT_OFF)
        text.advance(text.at + 1)
        return name

    def _begin(self, mark: str) -> Value | None:
        """Begin an array or an object; read an object whole that is a record by its first key."""
        if len(self._open) >= DEEPEST_ARRAY:
            return self._value()
        text = self.text
        if mark == "{":
            text.ensure(_LONGEST_KEY)
            first = _KEY.match(text.buffer, text.at + 1)
            if first is not None and first[1] in RECORD_NAMES:
                return self._value()
            self._open.append(_Object(text.line, text.column))
        else:
            self._open.append(_Array())
        text.advance(text.at + 1)
        return None

    def _close(self) -> None:
        self._open.pop()
        self.text.advance(self.text.at + 1)

    def _value(self) -> Value:
        """Read one whole value, reading on as far as it takes."""
        text = self.text
        line, column = text.line, text.column
        while True:
            try:
                value, end = DECODER.raw_decode(text.buffer, text.at)
            except JSONDecodeError as error:
                near = error.pos > len(text.buffer) - _MARGIN
                if near or error.msg.startswith("Unterminated string"):
                    if len(text.buffer) - text.at > LARGEST_VALUE:
                        raise _BadJson(text.at, TOO_LARGE) from None
                    place = error.pos - text.at
                    if text.more():
                        continue
                    raise _BadJson(text.at + place, _at_the_end(error, text, place)) from None
                raise _BadJson(error.pos, _in_words(error)) from None
            except RecursionError:
                raise _BadJson(text.at, TOO_DEEP) from None
            except ValueError:
                raise _BadJson(text.at, TOO_MANY_DIGITS) from None
            if end == len(text.buffer) and isinstance(value, int | float) and text.more():
                continue
            text.advance(end)
            return Value(value, line, column)

    def _broken(self, error: _BadJson) -> Broken:
        self.text.advance(error.at)
        return Broken(self.text.line, self.text.column, error.reason)

    def _recover(self) -> None:
        """Skip what is broken, up to the next line that begins a value."""
        self._open.clear()
        self._recovering = True
        text = self.text
        while line := text.readline():
            text.ensure(1)
            if line.endswith("\n") and text.buffer[text.at : text.at + 1] in ("{", "["):
                return


def _in_words(error: JSONDecodeError) -> str:
    """Return what is wrong in plain words."""
    return _WORDS.get(error.msg, BAD_ESCAPE if "escape" in error.msg else NO_VALUE)


def _at_the_end(error: JSONDecodeError, text: Text, place: int) -> str:
    """Return what is wrong where no more text comes: it was cut off, or it is not JSON."""
    rest = text.buffer[text.at + place :].strip()
    cut_off = not rest or error.msg.startswith("Unterminated string")
    return CUT_OFF if cut_off or rest in _BEGUN else _in_words(error)


_BEGUN = {word[:length] for word in ("true", "false", "null") for length in range(1, 5)}
