"""Hold a window of a stream of text, so that a value of bounded size can be read out of any."""

import re
from collections.abc import Iterable

# One value or one line: CloudTrail's own records have at most 1 MB.
LARGEST_VALUE = 16_000_000

_SPACE = re.compile(r"[ \t\r\n\ufeff]*")


class Text:
    """Hold a window of a stream of text, and the line and column of its beginning."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self.buffer, self.at = "", 0
        self.ended = False
        self.line, self.column = 1, 1

    def more(self) -> bool:
        """Read on, at least as much as the window holds already; False at the end of the stream."""
        if self.ended:
            return False
        kept = [self.buffer[self.at :]]
        wanted = len(kept[0])
        for chunk in self._chunks:
            kept.append(chunk)
            wanted -= len(chunk)
            if wanted <= 0:
                break
        else:
            self.ended = True
        self.buffer, self.at = "".join(kept), 0
        return len(kept) > 1

    def ensure(self, length: int) -> None:
        """Have `length` characters ahead, or all there are."""
        while len(self.buffer) - self.at < length and self.more():
            pass

    def advance(self, to: int) -> None:
        """Go on to a place in the window."""
        if lines := self.buffer.count("\n", self.at, to):
            self.line += lines
            self.column = to - self.buffer.rindex("\n", self.at, to)
        else:
            self.column += to - self.at
        self.at = to

    def peek(self) -> str:
        """Skip blanks; return the next character, "" at the end."""
        while True:
            found = _SPACE.match(self.buffer, self.at)
            self.advance(found.end() if found else self.at)
            if self.at < len(self.buffer) or not self.more():
                return self.buffer[self.at : self.at + 1]

    def readline(self) -> str:
        """Return the rest of the line with its end, "" at the end of the text.

        A line of more characters than `LARGEST_VALUE` is returned in parts.
        """
        while True:
            end = self.buffer.find("\n", self.at) + 1
            if end or len(self.buffer) - self.at > LARGEST_VALUE or not self.more():
                end = end or len(self.buffer)
                line = self.buffer[self.at : end]
                self.advance(end)
                return line
