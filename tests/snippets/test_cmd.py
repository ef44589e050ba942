"""Read the cmd snippet with a strict reader, as no cmd is here.

Between `set "NAME=` and the line's closing quote only characters stand that mean nothing to cmd,
neither pasted nor in a batch file: no quote, no caret, no percent or exclamation mark, no blank.
"""

import re

from sessions.snippets import FORMATS
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.shells import LEFT_OVER, LEFT_OVER_IN_SIMULATION

render = FORMATS["cmd"].render
LINE = re.compile(r'set "([A-Z0-9_]+)=([A-Za-z0-9/+=_.,:@-]*)"')
# A line that is typed or pasted, and an environment variable with its name.
LONGEST = 8_191


def read(text):
    """Return the environment that the lines leave; an empty value removes."""
    environment = LEFT_OVER | LEFT_OVER_IN_SIMULATION
    for line in text.splitlines():
        name, value = LINE.fullmatch(line).groups()
        environment.pop(name, None)
        if value:
            environment[name] = value
    return environment


def test_ten_thousand_hostile_values_are_read_back_or_refused():
    for chosen, text in carried(render, 21):
        assert read(text) == environment_of(chosen) | LEFT_OVER_IN_SIMULATION


def test_the_key_is_set_last_so_that_half_a_paste_is_nobody():
    lines = render(snippet(endpoint_url="http://127.0.0.1:5000")).splitlines()
    for end in range(len(lines)):
        begun = read("\n".join(lines[: end + 1]))
        assert ("AWS_ACCESS_KEY_ID" in begun) == (end + 1 == len(lines))


def test_the_simulated_aws_is_the_only_endpoint():
    found = read(render(snippet(endpoint_url="http://127.0.0.1:5000")))
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5000"
    assert not set(LEFT_OVER_IN_SIMULATION) & set(found)


def test_the_undo_removes_all_that_was_set():
    text = render(snippet()) + FORMATS["cmd"].undo(snippet())
    assert read(text) == LEFT_OVER_IN_SIMULATION


def test_no_line_is_longer_than_cmd_takes():
    text = render(snippet(token="x" * 4_096, region="y" * 100))
    assert max(len(line) for line in text.splitlines()) < LONGEST
