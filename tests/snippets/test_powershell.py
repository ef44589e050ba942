"""Read the PowerShell snippet with a strict reader of the grammar used, as no PowerShell is here.

Of about_Quoting_Rules: a verbatim string ends at the next quote that is not doubled, and the
typographic single quotes count as quotes. Everything outside of the strings must be, letter by
letter, what a tame snippet has.
"""

from sessions.snippets import FORMATS
from tests.snippets.hostile import snippet, texts
from tests.snippets.shells import LEFT_OVER, LEFT_OVER_IN_SIMULATION

render = FORMATS["powershell"].render
QUOTES = "'\u2018\u2019\u201a\u201b"


def read(text: str) -> tuple[str, list[str]]:
    """(The text with each verbatim string emptied, the strings)."""
    outside, strings, position = "", [], 0
    while position < len(text):
        character = text[position]
        position += 1
        outside += character
        if character not in QUOTES:
            continue
        value = ""
        while True:
            character = text[position]
            position += 1
            if character in QUOTES:
                if position == len(text) or text[position] not in QUOTES:
                    break
                position += 1
            value += character
        outside += "'"
        strings.append(value)
    return outside, strings


def test_ten_thousand_hostile_values_are_read_back_and_run_nothing():
    hostile = texts(3)
    code, tame = read(render(snippet()))
    first = tame.index("ASIAIOSFODNN7EXAMPLE")
    for _ in range(2_500):
        key_id, secret, token, region = (hostile.printed() for _ in range(4))
        outside, strings = read(render(snippet(key_id, secret, token, region=region)))
        assert outside == code
        assert strings[:first] == tame[:first]
        assert strings[first:] == [
            *(key_id, secret, token, "2026-11-24T12:30:15Z", region, region),
            "111122223333",
        ]


def test_the_reader_of_these_tests_sees_a_string_that_ends_early():
    assert read("$a = 'x'; bad ''")[0] != read("$a = 'x''; bad '")[0]
    assert read("'a’; bad; ‘b'")[1] == ["a", "b"]


def test_the_code_is_one_block_that_removes_first_and_sets_then():
    text = render(snippet(endpoint_url="http://127.0.0.1:5000"))
    code, strings = read(text)
    lines = [line.strip() for line in code.splitlines()]
    assert lines[0] == "& {"
    assert lines[-1] == "}"
    assert code.count("{") == code.count("}") == 1
    assert text.index("Remove-Item") < text.index("$Env:")
    removed = {each.removeprefix("Env:") for each in strings if each.startswith("Env:")}
    assert removed == {*LEFT_OVER, *LEFT_OVER_IN_SIMULATION}
    assigned = [line for line in lines if line.startswith("$Env:")]
    assert assigned == [
        f"$Env:{name} = ''"
        for name in (
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_CREDENTIAL_EXPIRATION",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ACCOUNT_ID",
            "AWS_ENDPOINT_URL",
        )
    ]
    assert strings[-1] == "http://127.0.0.1:5000"


def test_without_a_session_token_an_older_one_is_only_removed():
    text = render(snippet(token=None, expires_at=None))
    assert "'Env:AWS_SESSION_TOKEN'" in text
    assert "$Env:AWS_SESSION_TOKEN" not in text
    assert "$Env:AWS_CREDENTIAL_EXPIRATION" not in text
