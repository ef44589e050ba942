"""Hold what files would become: items, the notes on their lines, and what is merely kept."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

from sessions.secret import Secret

CHAINED = "iam-role-chained"
IAM_USER = "iam-user"
AMBIENT = "ambient"
IDENTITY_CENTER = "identity-center"
WEB_IDENTITY = "web-identity"


@dataclass(frozen=True)
class Note:
    """Say something of one line of one file; `field` names the setting, if it is of one."""

    file: str
    line: int
    message: str
    field: str = ""


@dataclass
class Item:
    """Hold what one profile, role or account of a file would become.

    `kind` is empty for what is no session: then `refusal` says why. `key` names the item in its
    plan. A chained one is assumed from the item `source`. `settings` are named like the fields of
    the kind's form; `secrets` are what the file itself holds of them.
    """

    key: str
    name: str
    file: str
    line: int
    kind: str = ""
    alias: str = ""
    profile: str = ""
    region: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    transitive_tag_keys: tuple[str, ...] = ()
    secrets: dict[str, Secret] = field(default_factory=dict)
    source: str = ""
    notes: list[Note] = field(default_factory=list)
    refusal: Note | None = None
    # Its profile's name is its own; Leapp gives one to many.
    has_own_profile: bool = True
    # What the root is in the file, in words, where a root cannot be imported.
    rests_on: str = ""

    def note(self, line: int, message: str, about: str = "") -> None:
        """Add a note on a line."""
        self.notes.append(Note(self.file, line, message, about))

    def refuse(self, line: int, message: str, about: str = "") -> None:
        """Refuse the item; the first reason stays."""
        if self.refusal is None:
            self.refusal = Note(self.file, line, message, about)

    @property
    def is_usable(self) -> bool:
        """Tell if a session can be made of it."""
        return bool(self.kind) and self.refusal is None


@dataclass(frozen=True)
class Kept:
    """Hold a section as it stands, without its secrets, to be given back at export."""

    header: str
    values: Mapping[str, str]


@dataclass
class Plan:
    """Hold all that was read: items by key, sources before what is assumed from them where asked.

    `refused` are whole files that nobody can read; `remarks` are about no item.
    """

    items: dict[str, Item] = field(default_factory=dict)
    refused: list[Note] = field(default_factory=list)
    remarks: list[Note] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def add(self, item: Item) -> Item:
        """Add an item under its key, which no other has."""
        if item.key in self.items:
            raise ValueError("Two items of a plan have one key.")
        self.items[item.key] = item
        return item

    def free_key(self, wanted: str, others: Container[str] = ()) -> str:
        """Return a key that no item has, nor any of the others."""
        key, number = wanted, 2
        while key in self.items or key in others:
            key, number = f"{wanted} {number}", number + 1
        return key

    def chain_of(self, item: Item) -> list[Item]:
        """Return an item's chain, root first, as far as the files tell it."""
        path, seen = [item], {item.key}
        while (source := self.items.get(path[-1].source)) and source.key not in seen:
            seen.add(source.key)
            path.append(source)
        return path[::-1]

    def in_order(self) -> list[Item]:
        """List all items, each behind what it is assumed from."""
        ordered: dict[str, Item] = {}
        for item in self.items.values():
            path: list[Item] = []
            at: Item | None = item
            waiting: set[str] = set()
            while at is not None and at.key not in ordered and at.key not in waiting:
                waiting.add(at.key)
                path.append(at)
                at = self.items.get(at.source)
            ordered |= {each.key: each for each in reversed(path)}
        return list(ordered.values())

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items.values())


def refuse_circles(plan: Plan, line_of_source: Mapping[str, int]) -> None:
    """Refuse items whose chain goes in a circle, and those that rest on such a chain."""
    settled: set[str] = set()
    for item in plan:
        path: dict[str, None] = {}
        at: Item | None = item
        while at is not None and at.key not in settled and at.key not in path:
            path[at.key] = None
            at = plan.items.get(at.source)
        if at is not None and at.key in path:
            keys = list(path)
            circle = keys[keys.index(at.key) :]
            names = " → ".join(plan.items[each].name for each in [*circle[:8], circle[0]])
            for key in circle:
                each = plan.items[key]
                line = line_of_source.get(key, each.line)
                each.refuse(line, f"The chain goes in a circle: {names}.", "source_profile")
        settled |= set(path)
