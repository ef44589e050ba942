import os
import subprocess

import pytest

from sessions.snippets import FORMATS
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.shells import (
    COMMANDS,
    LEFT_OVER,
    LEFT_OVER_IN_SIMULATION,
    assert_untouched,
    need,
    run,
    workplace,
)
from tests.snippets.test_posix import NAMES, SHOWN, aws_variables

render = FORMATS["fish"].render
undo = FORMATS["fish"].undo


def test_ten_thousand_hostile_values_come_out_of_fish_as_they_went_in(tmp_path):
    folder = workplace(tmp_path)
    found = list(carried(render, 20))
    show = "printf '%s\\0' " + " ".join(f'"${name}"' for name in NAMES) + "\n"
    printed = run("fish", "".join(text + show for _, text in found), folder).decode()
    values = printed.split("\0")[:-1]
    assert values == [environment_of(chosen)[name] for chosen, _ in found for name in NAMES]
    assert_untouched(folder)


@pytest.mark.parametrize("endpoint_url", ["", "http://127.0.0.1:5000"])
@pytest.mark.parametrize("token", ["AQoDYXdzEJr1K==", None])
def test_what_was_set_before_is_gone_and_the_new_identity_is_whole(endpoint_url, token, tmp_path):
    before = LEFT_OVER | LEFT_OVER_IN_SIMULATION | {"AWS_CONFIG_FILE": "/my/own"}
    shown = snippet(token=token, endpoint_url=endpoint_url)
    found = aws_variables(run("fish", render(shown) + SHOWN, workplace(tmp_path), before))
    chosen = {
        "key_id": "ASIAIOSFODNN7EXAMPLE",
        "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "token": "AQoDYXdzEJr1K==",
        "region": "eu-west-1",
    }
    expected = environment_of(chosen) | {"AWS_CONFIG_FILE": "/my/own"}
    if not token:
        del expected["AWS_SESSION_TOKEN"]
    expected |= {"AWS_ENDPOINT_URL": endpoint_url} if endpoint_url else LEFT_OVER_IN_SIMULATION
    assert found == expected


def test_a_universal_variable_keeps_its_value_and_is_exported_no_more(tmp_path):
    script = (
        f"set -Ux AWS_PROFILE mine; set -Ux AWS_VAULT mine\n{render(snippet())}env -0\n"
        "printf '%s' $AWS_PROFILE $AWS_VAULT\n"
    )
    need("fish")
    # Without its configuration fish has no universal variables.
    done = subprocess.run(
        ["fish", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    printed = aws_variables(done.stdout.removesuffix(b"minemine"))
    assert done.stdout.endswith(b"\0minemine")
    assert "AWS_PROFILE" not in printed
    assert "AWS_VAULT" not in printed
    assert printed["AWS_SESSION_TOKEN"] == "AQoDYXdzEJr1K=="
    assert done.stderr.decode().splitlines() == [
        f"The universal variable {name} is no longer exported."
        for name in ("AWS_PROFILE", "AWS_VAULT")
    ]


def test_the_undo_leaves_nothing_of_the_identity(tmp_path):
    script = render(snippet()) + undo(snippet()) + SHOWN
    found = aws_variables(run("fish", script, workplace(tmp_path), LEFT_OVER))
    assert found == {}


def test_a_paste_that_is_cut_short_sets_nothing(tmp_path):
    need("fish")
    folder = workplace(tmp_path)
    text = render(snippet())
    for end in range(0, len(text.rstrip()) - 1, 397):
        done = subprocess.run(
            [*COMMANDS["fish"], "-c", text[:end]],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.stdout == b""
    assert_untouched(folder)
