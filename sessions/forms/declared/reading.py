"""Read a file of sessions and groups, in YAML or JSON, with the line of everything in it.

The file is data and nothing else: a text is taken as it stands (`no` is a text, and so is a date),
and there are no references, tags or merged keys.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LARGEST_BYTES = 1_000_000
DEEPEST = 12
MOST_NODES = 200_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}

# Where something stands: ("sessions", 3, "alias").
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """Say what is wrong, and where: at which line, of what."""

    path: Path
    line: int | None
    message: str

    @property
    def place(self) -> str:
        """Name the place as a program would: `sessions[3].alias`."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
        return text or "file"

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class Faulty(Exception):
    """Refuse a file, with everything that is wrong with it as far as it was read."""

    def __init__(self, *faults: Fault, status: int = 422) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults, self.status = faults, status


@dataclass(frozen=True)
class Document:
    """Hold what a file says, and the line of each part of it."""

    content: Any
    lines: Mapping[Path, int] = field(default_factory=dict)

    def fault(self, path: Path, message: str) -> Fault:
        """Say what is wrong at a place, or at the nearest around it that has a line."""
        at = path
        while at and at not in self.lines:
            at = at[:-1]
        return Fault(path, self.lines.get(at), message)


def read(text: bytes) -> Document:
    """Read a file. Raises `Faulty`."""
    if len(text) > LARGEST_BYTES:
        raise Faulty(Fault((), None, "The file is larger than 1 MB."), status=413)
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = text[: error.start].count(b"\n") + 1
        raise Faulty(Fault((), at, "The file is not UTF-8.")) from None
    events = _Events(decoded)
    try:
        return events.document()
    except yaml.YAMLError as error:
        marked = error if isinstance(error, yaml.MarkedYAMLError) else None
        mark = marked.problem_mark if marked is not None else None
        problem = (marked.problem if marked is not None else None) or "it cannot be read"
        line = mark.line + 1 if mark is not None else None
        raise Faulty(Fault((), line, f"This is no YAML: {problem}.")) from None


class _Events:
    """Make a document of the parser's events, with a bound on depth and on the number of parts."""

    def __init__(self, text: str) -> None:
        self.events: Any = yaml.parse(text, Loader=_LOADER)
        self.lines: dict[Path, int] = {}

    def document(self) -> Document:
        content: Any = None
        is_read = False
        for event in self.events:
            match event:
                case yaml.DocumentStartEvent() if is_read:
                    raise _fault(event, (), "A second document begins here: a file has one.")
                case yaml.ScalarEvent() | yaml.CollectionStartEvent() | yaml.AliasEvent():
                    content, is_read = self._value(event, ()), True
        return Document(content, self.lines)

    def _value(self, event: Any, path: Path) -> Any:
        if len(self.lines) >= MOST_NODES:
            raise _fault(event, path, f"The file has more than {MOST_NODES} parts.")
        if len(path) > DEEPEST:
            raise _fault(event, path, f"This is nested more than {DEEPEST} levels deep.")
        self.lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _fault(event, path, "Write it out: the file has no references (& and *).")
        if event.tag is not None:
            raise _fault(event, path, f"The file has no tags such as {event.tag[:40]}.")
        match event:
            case yaml.ScalarEvent():
                return _scalar(event)
            case yaml.SequenceStartEvent():
                return self._list(path)
            case _:
                return self._mapping(path)

    def _list(self, path: Path) -> list[Any]:
        found: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._value(event, (*path, len(found))))
        return found

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent) or event.tag or event.anchor:
                raise _fault(event, path, "A name before a colon is plain text.")
            name = event.value
            if name in found:
                raise _fault(event, (*path, name), f"“{name[:64]}” stands here twice.")
            # The line of the name, not that of a value that begins below it.
            self.lines[(*path, name)] = _line(event)
            found[name] = self._value(next(self.events), (*path, name))
        return found


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


def _fault(event: Any, path: Path, message: str) -> Faulty:
    return Faulty(Fault(path, _line(event), message))


def _scalar(event: Any) -> Any:
    """Return a text as it stands; only what is not quoted can be a number, true, false or null."""
    text: str = event.value
    if "\x00" in text:
        raise _fault(event, (), "A text has no NUL in it.")
    if event.style:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _NUMBER.fullmatch(text) else text
