import tomllib

import pytest

from sessions.snippets import FORMATS
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.shells import LEFT_OVER, assert_untouched, run, workplace
from tests.snippets.test_posix import NAMES, SHOWN, aws_variables


def test_ten_thousand_hostile_values_are_read_back_by_the_bash_of_direnv(tmp_path):
    folder = workplace(tmp_path)
    found = list(carried(FORMATS["direnv"].render, 25))
    show = "printf '%s\\0' " + " ".join(f'"${name}"' for name in NAMES) + "\n"
    script = "".join(text + show for _, text in found)
    values = run("bash", script, folder).decode().split("\0")[:-1]
    assert values == [environment_of(chosen)[name] for chosen, _ in found for name in NAMES]
    assert_untouched(folder)


def test_direnv_removes_what_would_win(tmp_path):
    text = FORMATS["direnv"].render(snippet())
    found = aws_variables(run("bash", text + SHOWN, workplace(tmp_path), LEFT_OVER))
    assert "left-over" not in found.values()


def test_ten_thousand_hostile_values_are_read_back_as_toml():
    for chosen, text in carried(FORMATS["mise"].render, 26):
        found = tomllib.loads(text)
        assert set(found) == {"env"}
        removed = {name for name, value in found["env"].items() if value is False}
        assert removed == set(LEFT_OVER) - set(environment_of(chosen))
        assert {
            name: value for name, value in found["env"].items() if value is not False
        } == environment_of(chosen)


@pytest.mark.parametrize("value", ["{{exec(command='touch canary')}}", "{% raw %}", "{#x#}", "$x"])
def test_what_mise_would_run_as_a_template_is_refused(value):
    with pytest.raises(ValueError, match="cannot carry"):
        FORMATS["mise"].render(snippet(token=value))
