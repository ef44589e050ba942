import pytest
import yaml

from sessions.snippets import FORMATS
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.shells import LEFT_OVER


class Compose(yaml.CSafeLoader):
    """Read compose's own tag, which takes an entry away."""


REMOVED = object()
Compose.add_constructor("!reset", lambda loader, node: REMOVED)


def test_ten_thousand_hostile_values_are_read_back_from_the_secret():
    for chosen, text in carried(FORMATS["kubernetes"].render, 29):
        assert yaml.load(text, yaml.CSafeLoader) == {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "chainweb-aws",
                "annotations": {"chainweb/good-until": "2026-11-24T12:30:15Z"},
            },
            "type": "Opaque",
            "stringData": environment_of(chosen),
        }


def test_ten_thousand_hostile_values_are_read_back_by_compose():
    for chosen, text in carried(FORMATS["compose"].render, 30):
        found = yaml.load(text, Compose)  # a SafeLoader
        assert list(found) == ["services"]
        environment = found["services"]["app"]["environment"]
        removed = {name for name, value in environment.items() if value is REMOVED}
        assert removed == set(LEFT_OVER) - set(environment_of(chosen))
        assert {
            name: interpolated(value) for name, value in environment.items() if value is not REMOVED
        } == environment_of(chosen)


def interpolated(text):
    """Replace as compose does: `$$` is a dollar sign, and any other one names a variable."""
    assert "$" not in text.replace("$$", "")
    return text.replace("$$", "$")


@pytest.mark.parametrize("key", ["kubernetes", "compose"])
@pytest.mark.parametrize("token", ["yes", "0x10", "1e3", "null", "2026-11-24", "- a", "!!int 3"])
def test_a_token_that_yaml_has_a_meaning_for_stays_a_text(key, token):
    text = FORMATS[key].render(snippet(token=token))
    found = yaml.load(text, Compose)  # a SafeLoader
    holder = found["stringData"] if key == "kubernetes" else found["services"]["app"]["environment"]
    assert holder["AWS_SESSION_TOKEN"] == token
