"""Read INI files with line numbers, exactly as botocore does, in linear time; and write them.

botocore reads by Python's `RawConfigParser`, whose errors name lines but whose values do not, and
whose patterns take quadratic time on a long line of blanks. So the same rules stand here by hand;
a test holds the two against each other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

# What stands in this section belongs to every other one.
SHARED = "DEFAULT"
MOST_SECTIONS = 20_000
MOST_SHARED = 100_000


class Unreadable(ValueError):
    """Refuse a whole file, naming the line that nobody can read."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


@dataclass(frozen=True)
class Value:
    """Hold the text of a setting and its line; of an indented block, its own settings as well."""

    text: str
    line: int
    nested: Mapping[str, str] | None = None
    # The lines below the first, each with its number.
    block: tuple[tuple[int, str], ...] = field(default=(), repr=False, compare=False)


@dataclass
class Section:
    """Hold the settings under one header."""

    header: str
    line: int
    values: dict[str, Value] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a setting's text; empty without it."""
        value = self.values.get(name)
        return value.text if value is not None else ""

    def line_of(self, name: str) -> int:
        """Return the line of a setting, or the header's without it."""
        value = self.values.get(name)
        return value.line if value is not None else self.line


def read_ini(text: str) -> list[Section]:
    """Return the sections of a file in their order. Raises `Unreadable`, as botocore would."""
    if text.startswith("\ufeff"):
        raise Unreadable(
            1,
            "The file begins with a byte order mark, which AWS tools cannot read: save it as UTF-8"
            " without BOM.",
        )
    sections = _sections(text)
    shared = sections.pop(SHARED, None)
    if shared is not None:
        if len(shared.values) * len(sections) > MOST_SHARED:
            raise Unreadable(
                shared.line,
                f"Everything under [{SHARED}] belongs to each of the {len(sections)} sections:"
                " that is too much.",
            )
        for section in sections.values():
            for name, value in shared.values.items():
                section.values.setdefault(name, value)
    for section in sections.values():
        for name, value in section.values.items():
            if value.text.startswith("\n"):
                nested = _nested(name, value.block)
                section.values[name] = Value(value.text, value.line, nested, value.block)
    return list(sections.values())


def _lines(text: str) -> Iterator[str]:
    # As a file that is opened as text gives its lines; `splitlines` would split at more characters.
    return iter(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _sections(text: str) -> dict[str, Section]:
    found: dict[str, Section] = {}
    # By header and name: the lines of the value, each with its number.
    lines_of: dict[tuple[str, str], list[tuple[int, str]]] = {}
    section: Section | None = None
    option: tuple[str, str] | None = None
    indent = 0
    for number, line in enumerate(_lines(text), start=1):
        content = line.strip()
        if not content:
            if option is not None:
                lines_of[option].append((number, ""))
            continue
        if content[0] in "#;":
            continue
        depth = len(line) - len(line.lstrip())
        if section is not None and option is not None and depth > indent:
            lines_of[option].append((number, content))
            continue
        indent = depth
        end = content.rfind("]")
        if content[0] == "[" and end > 1:
            section, option = _open(found, content[1:end], number), None
            continue
        if section is None:
            raise Unreadable(
                number, "There is text before the first [section]: AWS tools cannot read the file."
            )
        name, text_of = _option(content, number)
        option = (section.header, name)
        if option in lines_of:
            raise Unreadable(
                number,
                f"“{short(name)}” is there twice in [{short(section.header)}], first on line"
                f" {lines_of[option][0][0]}: AWS tools cannot read the file.",
            )
        lines_of[option] = [(number, text_of)]
    for (header, name), parts in lines_of.items():
        text_of = "\n".join(part for _, part in parts).rstrip()
        block = tuple(parts[1:]) if text_of.startswith("\n") else ()
        found[header].values[name] = Value(text_of, parts[0][0], block=block)
    return found


def _open(found: dict[str, Section], header: str, line: int) -> Section:
    if header == SHARED:
        return found.setdefault(header, Section(header, line))
    if header in found:
        raise Unreadable(
            line,
            f"The section [{short(header)}] is there twice, first on line {found[header].line}:"
            " AWS tools cannot read the file.",
        )
    if len(found) >= MOST_SECTIONS:
        raise Unreadable(line, f"The file has more than {MOST_SECTIONS} sections: split it.")
    found[header] = Section(header, line)
    return found[header]


def _option(content: str, line: int) -> tuple[str, str]:
    ends = [place for place in (content.find("="), content.find(":")) if place >= 0]
    name = content[: min(ends)].rstrip().lower() if ends else ""
    if not name:
        raise Unreadable(
            line, "This line is no [section] and no “name = value”: AWS tools cannot read the file."
        )
    return name, content[min(ends) + 1 :].strip()


def _nested(name: str, lines: Iterable[tuple[int, str]]) -> dict[str, str]:
    """Read an indented block as botocore does, which splits it at more characters than lines."""
    found = {}
    for number, line in lines:
        for part in line.splitlines():
            if not part.strip():
                continue
            key, separator, text = part.strip().partition("=")
            if not separator:
                raise Unreadable(
                    number,
                    f"A line of the block under “{short(name)} =” has no “=”: AWS tools cannot"
                    " read the file.",
                )
            found[key.strip()] = text.strip()
    return found


def short(text: str) -> str:
    """Return a name as a message can show it."""
    cut = text if len(text) <= 60 else f"{text[:60]}…"
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in cut)


def write_ini(sections: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Write sections so that `read_ini` and botocore read the same headers and values."""
    written = []
    for header, values in sections:
        lines = [f"[{header}]"]
        for name, text in values.items():
            head, *more = text.split("\n")
            lines.append(f"{name} = {head}".rstrip())
            lines += [f"  {each}" if each else "" for each in more]
        written.append("\n".join(lines) + "\n")
    return "\n".join(written)
