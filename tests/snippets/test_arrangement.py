import pytest

from sessions.snippets import FORMATS, Group, System
from sessions.snippets.arrangement import grouped, system_of


@pytest.mark.parametrize(
    ("agent", "system"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0", "windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/26.0 Safari/605.1.15", "macos"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", "macos"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "linux"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/142.0 Mobile", "linux"),
        ("", "linux"),
    ],
)
def test_the_system_is_what_the_browser_says(agent, system):
    assert system_of(agent) == system


@pytest.mark.parametrize("system", System)
def test_every_format_stands_in_its_own_group_once(system):
    found = grouped(system)
    assert [group for group, _ in found] == [
        group for group in Group if any(each.group is group for each in FORMATS.values())
    ]
    assert sorted(each.key for _, formats in found for each in formats) == sorted(FORMATS)
    assert all(each.group is group for group, formats in found for each in formats)


def shells(system):
    return [each.key for each in dict(grouped(system))[Group.SHELL]]


def test_the_shells_of_ones_own_system_come_first():
    assert shells(System.LINUX)[0] == "posix"
    assert shells(System.MACOS)[0] == "posix"
    assert shells(System.WINDOWS)[0] == "powershell"
    assert shells(System.WINDOWS)[-1] != "powershell"


def test_a_format_for_every_system_keeps_its_place_on_each():
    places = [
        [each.key for each in dict(grouped(system))[Group.FILES] if each.systems == tuple(System)]
        for system in System
    ]
    assert places[0] == places[1] == places[2]
    assert len(places[0]) > 3
