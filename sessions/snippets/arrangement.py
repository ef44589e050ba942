"""Arrange the formats for whoever looks: by group, those of their own system first."""

from collections.abc import Iterable

from sessions.snippets import FORMATS, Group, SnippetFormat, System

# A phone or a tablet pastes nothing into a shell; its person most likely sits at a Mac or at Linux.
_MARKS = (
    ("Windows", System.WINDOWS),
    ("Macintosh", System.MACOS),
    ("iPhone", System.MACOS),
    ("iPad", System.MACOS),
)


def system_of(user_agent: str) -> System:
    """Return the system that a browser says it runs on; Linux if it says none."""
    return next((system for mark, system in _MARKS if mark in user_agent), System.LINUX)


def grouped(
    system: System, formats: Iterable[SnippetFormat] | None = None
) -> list[tuple[Group, list[SnippetFormat]]]:
    """Return the groups with their formats; those at home on `system` come first in each."""
    chosen = list(FORMATS.values() if formats is None else formats)

    def distance(each: SnippetFormat) -> int:
        return each.systems.index(system) if system in each.systems else len(System)

    found = []
    for group in Group:
        # Sorting is stable: what is equally at home keeps the order of the registry. A format for
        # all systems is at home everywhere.
        members = [each for each in chosen if each.group is group]
        members.sort(key=lambda each: 0 if each.systems == tuple(System) else distance(each))
        if members:
            found.append((group, members))
    return found
