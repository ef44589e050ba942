"""An AssumeRole parameter is one declaration and its validator; all else derives from them."""

import shutil
import subprocess
import sys

import pytest

from tests.harness.processes import CHECKOUT, clean_environ

VALIDATOR = '''
def validate_contexts(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return contexts like ARN=assertion. Raises ValueError."""
    if not all(line.startswith("arn:") and "=" in line for line in lines):
        raise ValueError("A context is the ARN of its provider, =, and its assertion.")
    return tuple(lines)

'''
DECLARATION = """
    provided_contexts: tuple[str, ...] = parameter(
        LINES,
        "Provided contexts",
        help="One a line, as the provider's ARN, =, and the assertion.",
        check=validate_contexts,
        sent_as="ProvidedContexts",
        sent=lambda lines: [
            dict(zip(("ProviderArn", "ContextAssertion"), line.split("=", 1), strict=True))
            for line in lines
        ],
    )
"""
CLASS, NEXT = (
    "\n@dataclass(frozen=True)\nclass HopParameters",
    "\n\n@dataclass(frozen=True)\nclass HopSettings",
)


@pytest.mark.own_servers
def test_a_parameter_takes_one_declaration_and_its_validator(tmp_path):
    for name in ("sessions", "chainweb", "templates", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=ignored)
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, tmp_path / name)

    declarations = tmp_path / "sessions" / "aws" / "hop_settings.py"
    source = declarations.read_text()
    assert source.count(CLASS) == source.count(NEXT) == 1
    source = source.replace(NEXT, DECLARATION + NEXT).replace(CLASS, VALIDATOR + CLASS)
    declarations.write_text(source)

    fixed = "tests/aws/test_hop.py::test_the_fingerprint_stays_what_it_was_in_the_database"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/aws/added_parameter.py", fixed],
        cwd=tmp_path,
        env=clean_environ() | {"PYTHONDONTWRITEBYTECODE": "1", "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert "8 passed" in run.stdout
