"""Find the profiles in the sections of `~/.aws/config` and `~/.aws/credentials`.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from sessions.imports.ini import Section, Value, short
from sessions.imports.plan import Note

# Never kept, never given back.
SECRET_SETTINGS = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_security_token",
        "x_security_token_expires",
    }
)
INCLUDE = "include_profile"
# So many settings are lent in all: a long line of includes would lend each its neighbours'.
MOST_LENT = 200_000
_MARKER = re.compile(r"granted_registry_(start|end)\b")
_KNOWN = frozenset({"preview", "plugins"})


@dataclass
class Profile:
    """Hold a profile as AWS tools see it: settings of its sections in both files, later ones win.

    `files` says of which file a setting is; `inherited` are those that another profile lent it.
    """

    name: str
    file: str
    line: int
    values: dict[str, Value] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    inherited: set[str] = field(default_factory=set)
    # Where a header has it as it stands; None for one that only the credentials file has.
    header: str | None = None

    def text(self, name: str) -> str:
        """Return a setting's text; empty without it."""
        value = self.values.get(name)
        return value.text.strip() if value is not None and value.nested is None else ""

    def has(self, *names: str) -> bool:
        """Tell if one of these settings is there."""
        return any(name in self.values for name in names)

    def line_of(self, name: str) -> int:
        """Return the line of a setting, or of the profile."""
        value = self.values.get(name)
        return value.line if value is not None else self.line

    def file_of(self, name: str) -> str:
        """Return the file of a setting, or of the profile."""
        return self.files.get(name, self.file)

    def take(self, section: Section, file: str) -> None:
        """Take a section's settings; they win over what is there."""
        self.values |= section.values
        self.files |= dict.fromkeys(section.values, file)


@dataclass
class Tables:
    """Hold what a pair of files has: profiles, sso-sessions, and sections that are neither."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    sso_sessions: dict[str, Section] = field(default_factory=dict)
    # Sections that look like profiles and that AWS ignores, with the reason.
    ignored: list[tuple[Section, str, Note]] = field(default_factory=list)
    remarks: list[Note] = field(default_factory=list)
    sections: list[tuple[str, Section]] = field(default_factory=list)


def named(header: str) -> str | None:
    """Return the name in a header like `profile "a b"`; None where AWS reads no name."""
    try:
        parts = shlex.split(header)
    except ValueError:
        return None
    return parts[1] if len(parts) == 2 else None


def header_of(name: str) -> str:
    """Return the header of a profile in a config file."""
    return name if name == "default" else f"profile {shlex.quote(name)}"


def add_config(tables: Tables, sections: Iterable[Section], file: str) -> None:
    """Add the sections of a config file."""
    prefixed_default = False
    for section in sections:
        header = section.header
        tables.sections.append((file, section))
        if header == "default" or header.startswith("profile"):
            name = header if header == "default" else named(header)
            if name is None:
                tables.ignored.append((section, header, Note(file, section.line, _why(header))))
                continue
            if name == "default" and "default" in tables.profiles:
                tables.remarks.append(
                    Note(
                        file,
                        section.line,
                        "Both [default] and [profile default] are there: the second form counts.",
                    )
                )
                if header == "default" and prefixed_default:
                    continue
            prefixed_default |= name == "default" and header != "default"
            profile = Profile(name, file, section.line, header=header)
            profile.take(section, file)
            tables.profiles[name] = profile
        elif header.startswith("sso-session"):
            name = named(header)
            if name is not None:
                tables.sso_sessions[name] = section
        elif header.startswith("services") or header in _KNOWN or _MARKER.match(header):
            continue
        else:
            because = (
                f"AWS tools ignore [{short(header)}] in a config file: write"
                f" [profile {short(header)}]."
            )
            tables.ignored.append((section, header, Note(file, section.line, because)))


def _why(header: str) -> str:
    try:
        count = len(shlex.split(header))
    except ValueError:
        return "The header has a quote without its twin: AWS tools ignore this section."
    if count < 2:
        return "The header names no profile: AWS tools ignore this section."
    return "The header has more than one name: put a name with blanks in quotes."


def add_credentials(tables: Tables, sections: Iterable[Section], file: str) -> None:
    """Add the sections of a credentials file: each is a profile, whose settings win."""
    for section in sections:
        profile = tables.profiles.get(section.header)
        if profile is None:
            profile = Profile(section.header, file, section.line)
            tables.profiles[section.header] = profile
        profile.take(section, file)


def include_profiles(tables: Tables) -> dict[str, Note]:
    """Lend each profile what its `include_profile` has and it has not, as aws-vault does.

    Returns {profile: why its includes cannot be followed}.
    """
    refused: dict[str, Note] = {}
    done: set[str] = set()
    lent = 0
    for start in tables.profiles:
        path: dict[str, Profile] = {}
        name = start
        while name not in done:
            if name in path:
                names = list(path)
                circle = names[names.index(name) :]
                said = " → ".join(short(each) for each in [*circle[:8], name])
                for each in circle:
                    refused[each] = _about(path[each], f"include_profile goes in a circle: {said}.")
                break
            profile = path[name] = tables.profiles[name]
            included = profile.text(INCLUDE)
            if not included:
                break
            if included not in tables.profiles:
                refused[name] = _about(
                    profile, f"include_profile names {short(included)}, which is not in the file."
                )
                break
            name = included
        for profile in reversed(path.values()):
            done.add(profile.name)
            lender = tables.profiles.get(profile.text(INCLUDE))
            if lender is None or profile.name in refused:
                continue
            lent += len(lender.values)
            if lent > MOST_LENT:
                refused[profile.name] = _about(profile, "The file includes too much.")
                continue
            for key, value in lender.values.items():
                if key not in profile.values and key not in SECRET_SETTINGS and key != INCLUDE:
                    profile.values[key] = value
                    profile.files[key] = lender.file_of(key)
                    profile.inherited.add(key)
    return refused


def _about(profile: Profile, message: str) -> Note:
    return Note(profile.file_of(INCLUDE), profile.line_of(INCLUDE), message, INCLUDE)
