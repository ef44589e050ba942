"""Read the source code: a strict reader for every language, and their own where installed."""

import ast
import json
import re
import subprocess

import pytest

from sessions.snippets import FORMATS, Group
from tests.examples import DEEP
from tests.snippets.hostile import carried, snippet
from tests.snippets.readers import need, run_node

LANGUAGES = [key for key, each in FORMATS.items() if each.group is Group.CODE]
# In all five languages: an interpreted text of printable ASCII with these two escapes alone.
LITERAL = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


def read(text):
    """(The code with each text emptied, the texts)."""
    strings = [re.sub(r'\\(["\\])', r"\1", match[1]) for match in LITERAL.finditer(text)]
    return LITERAL.sub('""', text), strings


def order_of(chosen):
    return [chosen[name] for name in ("key_id", "secret", "token")]


@pytest.mark.parametrize("key", LANGUAGES)
def test_ten_thousand_hostile_values_are_read_back_and_are_no_code(key):
    render = FORMATS[key].render
    tame, fixed = read(render(snippet()))
    places = [fixed.index(each) for each in ("ASIAIOSFODNN7EXAMPLE", "AQoDYXdzEJr1K==")]
    region = fixed.index("eu-west-1")
    for chosen, text in carried(render, 33):
        code, strings = read(text)
        assert code == tame
        assert strings[places[0] : places[1] + 1] == order_of(chosen)
        assert strings[region] == chosen["region"]


def test_python_reads_ten_thousand_hostile_values_back():
    for chosen, text in carried(FORMATS["python"].render, 34):
        module = ast.parse(text)
        assert [type(each).__name__ for each in module.body] == ["Import", "Assign", "Expr"]
        given = {each.arg: ast.literal_eval(each.value) for each in module.body[1].value.keywords}
        assert given == {
            "aws_access_key_id": chosen["key_id"],
            "aws_secret_access_key": chosen["secret"],
            "aws_session_token": chosen["token"],
            "region_name": chosen["region"],
        }


def test_node_reads_ten_thousand_hostile_values_back(tmp_path):
    found = list(carried(FORMATS["javascript"].render, 35))
    # The module's one import becomes a parameter.
    bodies = [text.partition("\n")[2] for _, text in found]
    code = """
const AsyncFunction = (async () => {}).constructor;
const given = [];
class STSClient { constructor(options) { given.push(options); } send() { return {}; } }
class GetCallerIdentityCommand {}
console.log = () => {};
(async () => {
  for (const body of data)
    await new AsyncFunction("STSClient", "GetCallerIdentityCommand", body)(STSClient, GetCallerIdentityCommand);
  process.stdout.write(JSON.stringify(given));
})();
"""  # noqa: E501
    assert run_node(code, bodies, tmp_path) == [
        {
            "region": chosen["region"],
            "credentials": {
                "accessKeyId": chosen["key_id"],
                "secretAccessKey": chosen["secret"],
                "sessionToken": chosen["token"],
                "expiration": "2026-11-24T12:30:15.000Z",
            },
        }
        for chosen, _ in found
    ]
    assert not (tmp_path / "canary").exists()


def literals(key, seed):
    """Yield (the values, their literals in the text) of the hostile values for a compiler."""
    for chosen, text in carried(FORMATS[key].render, seed, 2_500 if DEEP else 400):
        written = [match[0] for match in LITERAL.finditer(text)]
        first = next(at for at, each in enumerate(written) if read(each)[1] == [chosen["key_id"]])
        yield order_of(chosen), written[first : first + 3]


def printed_by(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.split("\n")[:-1]


def test_the_compiler_of_java_reads_hostile_values_back(tmp_path):
    need("javac")
    found = list(literals("java", 36))
    methods = [
        f"  static void m{number}() {{ for (var each : new String[] {{ {', '.join(each)} }})"
        " System.out.println(each); }"
        for number, (_, each) in enumerate(found)
    ]
    calls = [f"    m{number}();" for number in range(len(found))]
    (tmp_path / "Read.java").write_text(
        "\n".join(
            ["class Read {", *methods, "  public static void main(String[] a) {", *calls, "  }\n}"]
        )
    )
    read_back = printed_by(["java", "Read.java"], tmp_path)
    assert read_back == [value for values, _ in found for value in values]


def test_the_compiler_of_rust_reads_hostile_values_back(tmp_path):
    rustc = need("rustc")
    found = list(literals("rust", 37))
    rows = [f"    [{', '.join(each)}]," for _, each in found]
    (tmp_path / "read.rs").write_text(
        "\n".join(
            [
                f"static ROWS: [[&str; 3]; {len(rows)}] = [",
                *rows,
                "];",
                'fn main() { for row in ROWS { for each in row { println!("{}", each); } } }',
            ]
        )
    )
    subprocess.run([rustc, "read.rs"], cwd=tmp_path, check=True, capture_output=True)
    read_back = printed_by([str(tmp_path / "read")], tmp_path)
    assert read_back == [value for values, _ in found for value in values]


@pytest.mark.parametrize("key", LANGUAGES)
def test_a_long_lived_key_needs_no_session_token(key):
    text = FORMATS[key].render(snippet(token=None, expires_at=None))
    assert "AQoDYXdz" not in text
    assert "sessionToken" not in text
    assert "aws_session_token" not in text


@pytest.mark.parametrize("key", LANGUAGES)
def test_the_simulated_aws_is_named_where_there_is_one(key):
    url = json.dumps("http://127.0.0.1:5000")
    assert url in FORMATS[key].render(snippet(endpoint_url="http://127.0.0.1:5000"))
    assert url not in FORMATS[key].render(snippet())
