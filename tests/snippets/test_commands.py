import pytest

from sessions.snippets import FORMATS
from tests.examples import DEEP
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.shells import LEFT_OVER, assert_untouched, run, workplace
from tests.snippets.test_posix import NAMES, SHOWN, aws_variables

PULUMI = 'pulumi() { [ "$2" = rm ] && return; [ "$3" = --secret ] && set -- "$4" "$(cat; echo .)"'
PULUMI += ' || set -- "$3" "$4."; printf "%s\\0%s\\0" "$1" "${2%.}"; }\n'


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_ten_thousand_hostile_values_reach_pulumi_as_they_are(shell, tmp_path):
    folder = workplace(tmp_path)
    # Each piped value starts processes of the shell.
    found = list(carried(FORMATS["pulumi"].render, 38, 2_500 if DEEP else 100))
    script = PULUMI + "".join(text for _, text in found)
    printed = run(shell, script, folder).decode().split("\0")[:-1]
    assert printed == [
        part
        for chosen, _ in found
        for name, value in (
            ("aws:accessKey", chosen["key_id"]),
            ("aws:secretKey", chosen["secret"]),
            ("aws:token", chosen["token"]),
            ("aws:region", chosen["region"]),
        )
        for part in (name, value)
    ]
    assert_untouched(folder)


def test_no_secret_of_pulumi_is_in_an_argument_list():
    for line in FORMATS["pulumi"].render(snippet()).splitlines():
        if "pulumi" in line:
            _, _, arguments = line.rpartition("pulumi")
            assert "EXAMPLE" not in arguments
            assert "AQoD" not in arguments


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_ten_thousand_hostile_values_reach_cdk_as_they_are(shell, tmp_path):
    folder = workplace(tmp_path)
    found = list(carried(FORMATS["cdk"].render, 39))
    npx = "npx() { printf '%s\\0' " + " ".join(f'"${name}"' for name in NAMES) + "; }\n"
    values = run(shell, npx + "".join(text for _, text in found), folder).decode().split("\0")[:-1]
    assert values == [environment_of(chosen)[name] for chosen, _ in found for name in NAMES]
    assert_untouched(folder)


def test_cdk_sees_one_identity_and_the_terminal_keeps_its_own(tmp_path):
    text = "npx() { env -0; }\n" + FORMATS["cdk"].render(snippet()) + "printf 'then\\0'\n" + SHOWN
    printed = run("bash", text, workplace(tmp_path), LEFT_OVER)
    within, after = (aws_variables(part) for part in printed.split(b"\0then\0"))
    assert "left-over" not in within.values()
    assert within["AWS_SESSION_TOKEN"] == "AQoDYXdzEJr1K=="
    assert after == LEFT_OVER
