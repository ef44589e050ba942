"""Read what a file wants: sessions in the order in which they can be made, access, groups."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sessions.aws.roots import ROOT_KINDS
from sessions.forms.declared.reading import Document, Fault, Faulty, Path
from sessions.forms.sessions import fields_of, secret_names
from sessions.models import CHAINED

MOST_SESSIONS = 2000
MOST_GROUPS = 500
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
KINDS = [CHAINED, *ROOT_KINDS]
# Finds the text of a secret by the name that a file has for it; None: there is none.
SecretSource = Callable[[str], str | None]


def from_environment(name: str) -> str | None:
    """Find a secret in the environment of a command."""
    return os.environ.get(name)


@dataclass(frozen=True)
class WantedAudience:
    """Name whom a right is for: everyone, or these people and groups."""

    everyone: bool
    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.everyone:
            return "everyone"
        named = [*self.people, *(f"group {name}" for name in self.groups)]
        return ", ".join(named) or "nobody"


@dataclass(frozen=True)
class WantedSession:
    """Hold a session that a file has: its form's values, by whose alias it is assumed, its access.

    `secrets` are the texts of secrets, never shown.
    """

    path: Path
    alias: str
    kind: str
    values: Mapping[str, Any]
    secrets: Mapping[str, str]
    assumer: str
    access: Mapping[str, WantedAudience] | None

    @property
    def key(self) -> str:
        return key_of(self.alias)


@dataclass(frozen=True)
class WantedGroup:
    """Hold a group that a file has, with the usernames of its people."""

    path: Path
    name: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """Hold all that a file has, the sessions in its own order."""

    sessions: tuple[WantedSession, ...]
    groups: tuple[WantedGroup, ...]


def key_of(alias: str) -> str:
    """Make one key of an alias, in whatever letters it is written."""
    return unicodedata.normalize("NFC", alias.strip()).lower()


def wanted_of(document: Document, secrets: SecretSource | None) -> Wanted:
    """Read the document. Raises `Faulty`, with all that is wrong.

    `secrets`: where `${NAME}` is looked up; None: nowhere.
    """
    reader = _Reader(document, secrets)
    wanted = reader.wanted()
    if reader.faults:
        raise Faulty(*reader.faults)
    return wanted


class _Reader:
    def __init__(self, document: Document, secrets: SecretSource | None) -> None:
        self.document, self.secrets = document, secrets
        self.faults: list[Fault] = []

    def wrong(self, path: Path, message: str) -> None:
        self.faults.append(self.document.fault(path, message))

    def wanted(self) -> Wanted:
        content = self.document.content
        if not isinstance(content, dict):
            self.wrong((), "The file is an object with “sessions”, “groups”, or both.")
            return Wanted((), ())
        self.known((), content, ("sessions", "groups"))
        groups = [self.group(path, each) for path, each in self.items("groups", MOST_GROUPS)]
        sessions = [
            self.session(path, each) for path, each in self.items("sessions", MOST_SESSIONS)
        ]
        found = Wanted(
            tuple(each for each in sessions if each), tuple(each for each in groups if each)
        )
        self.once((each.path, each.alias, each.key) for each in found.sessions)
        self.once((each.path, each.name, each.name.lower()) for each in found.groups)
        return found

    def items(self, name: str, most: int) -> Iterable[tuple[Path, dict[str, Any]]]:
        listed = self.document.content.get(name)
        if listed is None:
            return
        if not isinstance(listed, list):
            self.wrong((name,), f"“{name}” is a list.")
            return
        if len(listed) > most:
            self.wrong((name,), f"A file has at most {most} {name}.")
            return
        for number, each in enumerate(listed):
            path = (name, number)
            if isinstance(each, dict):
                yield path, each
            else:
                self.wrong(path, f"Each of the {name} is an object.")

    def known(self, path: Path, content: Mapping[str, Any], names: Iterable[str]) -> None:
        for name in content.keys() - set(names):
            self.wrong((*path, name), f"There is no field “{name[:64]}” here.")

    def once(self, named: Iterable[tuple[Path, str, str]]) -> None:
        seen: dict[str, Path] = {}
        for path, name, key in named:
            if key in seen:
                line = self.document.lines.get(seen[key])
                where = f", first at line {line}" if line else ""
                self.wrong(path, f"“{name}” stands here twice{where}.")
            seen.setdefault(key, path)

    def text(self, path: Path, value: Any, what: str) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            self.wrong(path, f"{what} is a text, and not empty.")
            return ""
        return value

    def texts(self, path: Path, value: Any, what: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.wrong(path, f"{what} is a list of texts.")
            return ()
        return tuple(
            self.text((*path, number), each, f"Each of the {what}")
            for number, each in enumerate(value)
        )

    def group(self, path: Path, content: Mapping[str, Any]) -> WantedGroup | None:
        self.known(path, content, ("name", "people"))
        name = self.text((*path, "name"), content.get("name"), "The name of a group")
        people = self.texts((*path, "people"), content.get("people"), "people")
        return WantedGroup(path, name.strip(), people) if name else None

    def session(self, path: Path, content: Mapping[str, Any]) -> WantedSession | None:
        alias = self.text((*path, "alias"), content.get("alias"), "The alias of a session")
        kind = content.get("kind", CHAINED)
        if kind not in KINDS:
            self.wrong((*path, "kind"), f"There is no such kind. One of: {', '.join(KINDS)}.")
            return None
        fields = fields_of(kind)
        self.known(path, content, ("kind", "access", *fields))
        secret = secret_names(kind)
        values: dict[str, Any] = {}
        secrets: dict[str, str] = {}
        for name in fields.keys() & content.keys():
            value = content[name]
            if name in secret:
                if value is not None:
                    secrets[name] = self.secret((*path, name), value)
                continue
            types = getattr(fields[name], "json_types", ())
            if isinstance(value, int) and not isinstance(value, bool) and int not in types:
                value = str(value)  # as it stands in the file
            values[name] = value
        assumer = ""
        if kind == CHAINED:
            named = values.pop("assumer", None)
            assumer = self.text((*path, "assumer"), named, "The assumer, by its alias,")
            if not assumer:
                return None
        access = self.access((*path, "access"), content.get("access"), kind)
        if not alias:
            return None
        return WantedSession(path, alias.strip(), kind, values, secrets, assumer, access)

    def secret(self, path: Path, value: Any) -> str:
        named = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if named is None:
            self.wrong(
                path,
                "A secret is never written in the file: name a variable of the environment,"
                " ${NAME}, or leave it out for a root that is there.",
            )
            return ""
        if self.secrets is None:
            self.wrong(
                path,
                "Only `manage.py apply` fills in ${NAME}. Here, leave secrets out: a root that is"
                " there keeps its own.",
            )
            return ""
        found = self.secrets(named[1])
        if not found:
            self.wrong(path, f"The environment has no variable {named[1]}.")
        return found or ""

    def access(self, path: Path, value: Any, kind: str) -> dict[str, WantedAudience] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(path, "“access” is an object with “start” and “assume”.")
            return None
        rights = ("start", "assume") if kind == CHAINED else ("assume",)
        self.known(path, value, rights)
        return {
            right: self.audience((*path, right), value[right])
            for right in rights
            if value.get(right) is not None
        }

    def audience(self, path: Path, value: Any) -> WantedAudience:
        if value == "everyone":
            return WantedAudience(everyone=True)
        if not isinstance(value, dict):
            self.wrong(path, "Say `everyone`, or an object with “people” and “groups”.")
            return WantedAudience(everyone=True)
        self.known(path, value, ("everyone", "people", "groups"))
        people = self.texts((*path, "people"), value.get("people"), "people")
        groups = self.texts((*path, "groups"), value.get("groups"), "groups")
        everyone = value.get("everyone", False)
        if not isinstance(everyone, bool) or (everyone and (people or groups)):
            self.wrong(path, "It is either for everyone, or for people and groups.")
        return WantedAudience(bool(everyone), tuple(sorted(people)), tuple(sorted(groups)))


def in_order(
    wanted: Wanted, document: Document, exists: Callable[[str], bool]
) -> list[WantedSession]:
    """Sort sessions so that each comes after its assumer. Raises `Faulty` for a circle.

    `exists`: whether the team has a session of that alias that the file does not have.
    """
    by_key = {each.key: each for each in wanted.sessions}
    faults = [
        document.fault(
            (*each.path, "assumer"),
            f"“{each.alias}” is assumed from “{each.assumer}”, which is neither in the file nor in"
            " the team.",
        )
        for each in wanted.sessions
        if each.assumer and key_of(each.assumer) not in by_key and not exists(each.assumer)
    ]
    done: dict[str, WantedSession] = {}
    in_circles: set[str] = set()
    for each in wanted.sessions:
        way: list[WantedSession] = []
        step: WantedSession | None = each
        while step is not None and step.key not in done and step.key not in in_circles:
            if step in way:
                circle = way[way.index(step) :]
                faults.append(_circle(circle, document))
                in_circles.update(one.key for one in circle)
                break
            way.append(step)
            step = by_key.get(key_of(step.assumer)) if step.assumer else None
        for one in reversed(way):
            done.setdefault(one.key, one)
    if faults:
        raise Faulty(*faults)
    return list(done.values())


def _circle(circle: list[WantedSession], document: Document) -> Fault:
    def named(each: WantedSession) -> str:
        line = document.lines.get((*each.path, "assumer"))
        return f"“{each.alias}”" + (f" (line {line})" if line else "")

    way = " from ".join(named(each) for each in [*circle, circle[0]])
    return document.fault((*circle[0].path, "assumer"), f"The chain goes in a circle: {way}.")
