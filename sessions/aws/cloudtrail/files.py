"""Read CloudTrail's records from files and pasted text of any form that tools give them.

Each place that cannot be read is one `Unreadable`, with line, column and reason; the reader goes
on behind it where it can. Nothing here raises for what stands in a file.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from sessions.aws.cloudtrail import shapes, tables
from sessions.aws.cloudtrail.jsonstream import Broken, Value, Values
from sessions.aws.cloudtrail.records import Record, Where, record_of
from sessions.aws.cloudtrail.window import Text

# A paste is a record or a few, one of them with a user agent of a million characters; CloudTrail's
# own files have at most 50 MB, packed.
LONGEST_PASTE = 1_500_000
LARGEST_FILE = 1_000_000_000
# Behind so many errors a file is none of CloudTrail's.
MOST_ERRORS = 100

_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "This is a ZIP file: unpack it first.",
    b"\x28\xb5\x2f\xfd": "This is packed with Zstandard: unpack it first.",
    b"PAR1": "This is a Parquet file: export it as JSON or CSV first.",
    b"BZh": "This is packed with bzip2: unpack it first.",
    b"\xfd7zXZ": "This is packed with xz: unpack it first.",
}
_ESCAPED = re.compile(r'\s*[{\[](?:\s|\\[nrt])*[{\[]?(?:\s|\\[nrt])*\\"')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t"}
# The fences of Markdown, and a part of a record without its braces.
_FENCE = re.compile(r"^[ \t]*```[A-Za-z]*[ \t]*$", re.MULTILINE)
_PART = re.compile(r'\s*"[A-Za-z]+"\s*:')
_DOUBLED = re.compile(r'\s*"?\{\s*""')


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Say what could not be read: file as named, line and column from 1, and the reason."""

    file: str
    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}"
        return f"{f'{self.file}, ' if self.file else ''}{place}: {self.reason}"


def read_text(pasted: str, name: str = "") -> list[Record | Unreadable]:
    """Read pasted text of at most 1,500,000 characters: a record, a file of them, or a log line.

    Text copied out of a JSON string, a CSV cell, a page of Markdown or the middle of a record is
    read too.
    """
    if len(pasted) > LONGEST_PASTE:
        return [Unreadable(name, 1, 1, f"The text is longer than {LONGEST_PASTE:,} characters.")]
    pasted = _FENCE.sub("", pasted)
    if _PART.match(pasted):
        pasted = f"{{{pasted.rstrip().removesuffix(',')}}}"
    elif _ESCAPED.match(pasted):
        pasted = re.sub(r"\\(.)", _unescaped, pasted)
    elif _DOUBLED.match(pasted):
        pasted = pasted.strip().strip('"').replace('""', '"')
    return list(_records(Text([pasted.removeprefix("\ufeff")]), name))


def read_stream(
    stream: BinaryIO, name: str = "", largest: int = LARGEST_FILE
) -> Iterator[Record | Unreadable]:
    """Read a file in constant memory: JSON, JSON lines, CSV or a text log, plain or packed by gzip.

    `largest` is how many bytes it may have, unpacked. Errors of the stream itself are raised.
    """
    first = stream.read(_CHUNK)
    for mark, reason in _PACKED.items():
        if first.startswith(mark):
            yield Unreadable(name, 1, 1, reason)
            return
    source = _Bytes(first, stream, largest)
    text = Text(source.chunks())
    yield from _records(text, name)
    if source.problem:
        yield Unreadable(name, text.line, text.column, source.problem)


class _Bytes:
    """Read a file's text, unpacked and decoded, and remember what ended it early."""

    def __init__(self, first: bytes, stream: BinaryIO, largest: int) -> None:
        self.first, self.stream, self.largest = first, stream, largest
        self.problem = ""

    def chunks(self) -> Iterator[str]:
        """Yield the text in pieces."""
        decoder = None
        for chunk in self._unpacked():
            if decoder is None:
                decoder = codecs.getincrementaldecoder(_encoding(chunk))("replace")
            yield decoder.decode(chunk)
        if decoder is not None:
            yield decoder.decode(b"", final=True)

    def _unpacked(self) -> Iterator[bytes]:
        packed = self.first.startswith(_GZIP)
        unpacked: _Readable = _Chained(self.first, self.stream)
        if packed:
            unpacked = _gunzip(unpacked)
        read = 0
        try:
            while chunk := unpacked.read(_CHUNK):
                if packed and not read and chunk.startswith(_GZIP):
                    # Firehose packs what CloudWatch Logs has packed.
                    unpacked = _gunzip(_Chained(chunk, unpacked))
                    packed = False
                    continue
                read += len(chunk)
                if read > self.largest:
                    self.problem = f"The file has more than {self.largest:,} bytes, unpacked."
                    return
                yield chunk
        except EOFError:
            self.problem = "The packed file ends in the middle: it was cut off."
        except (gzip.BadGzipFile, zlib.error):
            self.problem = "The packed file is damaged."


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Chained:
    """Put the piece that was read to look at it before the rest of its stream."""

    def __init__(self, first: bytes, rest: _Readable) -> None:
        self.first, self.rest = first, rest

    def read(self, size: int = -1, /) -> bytes:
        if self.first:
            piece = self.first if size < 0 else self.first[:size]
            self.first = self.first[len(piece) :]
            return piece
        return self.rest.read(size)


def _gunzip(packed: _Readable) -> _Readable:
    # GzipFile only reads, whatever its stub demands besides.
    return gzip.GzipFile(fileobj=cast(BinaryIO, packed))


def _encoding(first: bytes) -> str:
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if first[1:2] == b"\x00" and first[:1] != b"\x00":
        return "utf-16-le"
    return "utf-16-be" if first[:1] == b"\x00" and first[1:2] != b"\x00" else "utf-8-sig"


def _unescaped(found: re.Match[str]) -> str:
    """Undo one escape; of a string within the text, the second backslash stays."""
    return _ESCAPES.get(found[1], found[0])


def _records(text: Text, name: str) -> Iterator[Record | Unreadable]:
    index = errors = 0
    if not text.peek():
        yield Unreadable(name, 1, 1, "There is nothing in it.")
    for found in _values(text):
        records, problems = (
            ([], [found.reason]) if isinstance(found, Broken) else shapes.find(found.value)
        )
        for raw in records:
            yield record_of(raw, Where(name, found.line, found.column, index))
            index += 1
        for problem in problems:
            yield Unreadable(name, found.line, found.column, problem)
            errors += 1
        if errors >= MOST_ERRORS:
            yield Unreadable(name, found.line, found.column, "Too many errors: stopped here.")
            return


def _values(text: Text) -> Iterator[Value | Broken]:
    table = tables.rows(text)
    yield from Values(text) if table is None else table
