import os
import shutil
import subprocess
import sys
import traceback
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

import sessions
from sessions.snippets import FORMATS, Group, register
from tests.snippets.hostile import snippet, texts

PATH = {"PATH": os.environ["PATH"]}
SECRETS = {"secret": "wJalrXUtnFEMI/K7MDENG", "token": "AQoDYXdzEJr1K"}


def test_the_formats_stand_in_the_order_of_the_pages():
    groups = list(Group)
    assert list(FORMATS.values()) == sorted(
        FORMATS.values(), key=lambda each: (groups.index(each.group), each.order, each.key)
    )
    assert {each.group for each in FORMATS.values()} <= set(groups)


def test_every_format_says_what_the_pages_show():
    for key, each in FORMATS.items():
        assert key == each.key
        assert each.label
        assert each.help
        assert each.filename
        assert each.language


def test_a_reused_key_is_refused():
    with pytest.raises(ValueError, match="already taken"):
        register(FORMATS["posix"])


def test_a_new_format_is_one_new_file(tmp_path):
    shutil.copytree(
        Path(sessions.__file__).parent,
        tmp_path / "sessions",
        ignore=lambda folder, names: (
            set(names) - {"aws", "snippets", "secret.py", "__init__.py"}
            if Path(folder).name == "sessions"
            else {"__pycache__"}
        ),
    )
    (tmp_path / "sessions/snippets/zebra.py").write_text(
        "from sessions.snippets import SnippetFormat, register\nregister(SnippetFormat('zebra',"
        " 'Z', 'z', 'z', False, 'z', lambda snippet: 'stripes', order=1_000))\n"
    )
    code = (
        "from sessions.snippets import FORMATS; print(*FORMATS);"
        " print(FORMATS['zebra'].render(None))"
    )
    printed = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [key for key, each in FORMATS.items() if each.group is Group.FILES]
    names = list(FORMATS)
    names.insert(names.index(files[-1]) + 1, "zebra")
    assert printed == f"{' '.join(names)}\nstripes\n"


def test_the_pure_part_loads_no_django():
    code = (
        "import sys, sessions.snippets; sys.exit(any(name.split('.')[0] == 'django' for name in"
        " sys.modules))"
    )
    root = Path(sessions.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


@pytest.mark.parametrize("key", FORMATS)
def test_a_format_that_holds_credentials_needs_some(key):
    each = FORMATS[key]
    nothing = replace(snippet(), credentials=None)
    if each.secret:
        with pytest.raises(ValueError, match="no credentials"):
            each.render(nothing)
    else:
        assert each.render(nothing)


@pytest.mark.parametrize("key", [key for key, each in FORMATS.items() if not each.secret])
def test_a_format_without_credentials_opens_none_that_it_is_given(key):
    text = FORMATS[key].render(snippet(**SECRETS))
    assert not any(secret in text for secret in SECRETS.values())


@pytest.mark.parametrize("key", [key for key, each in FORMATS.items() if each.secret])
@pytest.mark.parametrize(
    "broken",
    [
        {"key_id": "AKIA\n"},
        {"key_id": ""},
        {"secret": SECRETS["secret"] + "\n"},
        {"token": SECRETS["token"] + "\0"},
        {"token": SECRETS["token"] + "’"},
        {"token": ""},
        {"expires_at": datetime(2026, 1, 1)},  # noqa: DTZ001  # a time without a zone is what is refused
    ],
)
def test_a_refusal_shows_no_secret_in_its_message_or_in_any_frame(key, broken):
    assert_refused_without_a_secret(key, broken)


@pytest.mark.parametrize("key", ["posix", "powershell", "credentials-file"])
@pytest.mark.parametrize("broken", [{"region": "eu-west-1\n"}, {"endpoint_url": "http://x/\n"}])
def test_a_refusal_of_what_is_not_secret_shows_no_secret_either(key, broken):
    assert_refused_without_a_secret(key, broken)


def assert_refused_without_a_secret(key, broken):
    with pytest.raises(ValueError, match=r".") as refusal:
        FORMATS[key].render(snippet(**(SECRETS | broken)))
    shown = "".join(traceback.format_exception(refusal.value))
    frames = [
        repr(frame.f_locals)
        for frame, _ in traceback.walk_tb(refusal.tb)
        if "sessions/snippets" in frame.f_code.co_filename
    ]
    assert frames
    for secret in SECRETS.values():
        assert secret not in shown
        assert not any(secret in frame for frame in frames)


@pytest.mark.parametrize("key", FORMATS)
def test_ten_thousand_hostile_values_add_no_line_or_are_refused(key):
    """Check that no value adds a line, or a character that a terminal reads as another."""
    hostile = texts(1)
    render = FORMATS[key].render
    tame = render(snippet(endpoint_url="http://127.0.0.1:1"))
    lines, tabs = tame.count("\n"), tame.count("\t")
    outcomes = {"carried": 0, "refused": 0}
    for _ in range(2_500):
        odd = hostile.any if hostile.chance.random() < 0.5 else hostile.printed
        values = snippet(
            key_id=odd(),
            secret=odd(),
            token=odd(),
            profile=odd() if hostile.chance.random() < 0.1 else "dev",
            region=odd(),
            endpoint_url="http://127.0.0.1:1",
        )
        try:
            text = render(values)
        except ValueError:
            outcomes["refused"] += 1
        else:
            outcomes["carried"] += 1
            assert (text.count("\n"), text.count("\t")) == (lines, tabs)
            assert text.isascii()
            assert text.replace("\n", "").replace("\t", "").isprintable()
    assert outcomes["refused"]


@pytest.mark.parametrize("key", FORMATS)
def test_a_session_token_of_4096_bytes_is_carried_whole(key):
    """Check the longest token that AWS issues."""
    token = ("IQoJb3JpZ2luX2VjE/+" * 216)[:4_095] + "="
    text = FORMATS[key].render(snippet(token=token))
    assert (token in text) == FORMATS[key].secret


@pytest.mark.parametrize("key", [key for key, each in FORMATS.items() if each.undo])
def test_an_undo_holds_no_secret_and_needs_none(key):
    each = FORMATS[key]
    text = each.undo(replace(snippet(**SECRETS), credentials=None))
    assert text.endswith("\n")
    assert text == each.undo(snippet(**SECRETS))


@pytest.mark.parametrize(
    "key", [key for key, each in FORMATS.items() if each.secret and each.group is not Group.SHELL]
)
def test_what_is_kept_as_a_file_says_until_when_it_is_good(key):
    text = FORMATS[key].render(snippet())
    assert "2026-11-24T12:30:15Z" in text or key == "pulumi"


def test_a_download_is_put_into_its_place_for_its_owner_alone(tmp_path):
    for each in FORMATS.values():
        if not each.place:
            continue
        home = tmp_path / each.key
        (home / "Downloads").mkdir(parents=True)
        (home / "Downloads" / each.filename).write_text("text")
        subprocess.run(
            ["sh", "-c", each.install_line], cwd=home, env={"HOME": str(home)} | PATH, check=True
        )
        place = home / each.place.removeprefix("~/")
        assert place.read_text() == "text"
        assert place.stat().st_mode & 0o777 == 0o600
        assert not (home / "Downloads" / each.filename).exists()
