import shlex

import pytest

from sessions.snippets import FORMATS
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.readers import run_node
from tests.snippets.shells import LEFT_OVER, assert_untouched, run, workplace
from tests.snippets.test_posix import NAMES


def read_by_docker(text):
    """Read as docker/cli's opts/file.go does: no quoting, no expansion, `#` only at the start."""
    found = {}
    for line in text.split("\n"):
        line = line.lstrip(" \t")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        assert equals, "a bare name would take the value of whoever runs docker"
        assert not any(blank in name for blank in " \t")
        found[name] = value
    return found


def test_ten_thousand_hostile_values_are_read_back_as_docker_does():
    for chosen, text in carried(FORMATS["docker-env"].render, 22):
        assert read_by_docker(text) == environment_of(chosen)


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_ten_thousand_hostile_values_are_read_back_by_a_shell(shell, tmp_path):
    folder = workplace(tmp_path)
    found = list(carried(FORMATS["dotenv"].render, 23))
    show = "printf '%s\\0' " + " ".join(f'"${name}"' for name in NAMES) + "\n"
    values = run(shell, "".join(text + show for _, text in found), folder).decode().split("\0")[:-1]
    assert values == [environment_of(chosen)[name] for chosen, _ in found for name in NAMES]
    assert_untouched(folder)


def test_nodes_own_loader_reads_hostile_values_back(tmp_path):
    found = list(carried(FORMATS["dotenv"].render, 24))
    code = (
        "const { parseEnv } = require('util');"
        "console.log(JSON.stringify(data.map((each) => parseEnv(each))));"
    )
    read = run_node(code, [text for _, text in found], tmp_path)
    assert read == [environment_of(chosen) for chosen, _ in found]


@pytest.mark.parametrize("value", ["$HOME", "a b", "'a'", '"a"', "a#b", "`id`", "a\\", "~", "%a%"])
def test_what_some_loader_would_expand_or_strip_is_refused(value):
    for key in ("dotenv", "docker-env"):
        with pytest.raises(ValueError, match="cannot carry"):
            FORMATS[key].render(snippet(token=value))


def test_the_file_says_what_has_to_be_removed_from_the_shell_first():
    [line] = [line for line in FORMATS["dotenv"].render(snippet()).splitlines() if "unset" in line]
    assert set(shlex.split(line.lstrip("# "))[1:]) == set(LEFT_OVER)
