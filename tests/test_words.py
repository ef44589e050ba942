"""Hold the words that a program can hold: how docstrings open, and how long test names are."""

import ast
import re
from pathlib import Path

from django.conf import settings

PACKAGES = ("chainweb", "sessions", "bench", "chaos", "tests")
NOT_A_VERB = re.compile(r"(What|Whether|Who|Whose|Whom|The same|These|It|Where|When|How)\b")
# Nor does the product's own code open with a noun, or say "Returns" for "Return".
NOT_IMPERATIVE = re.compile(
    r"(An?|The|Its?|As|Every|One|Some|No|Any|All|Which|Why|Our|My|By|For|With|Without|Until|"
    r"[A-Za-z]+(?<!s)(?<!proces)(?<!addres)(?<!pas)s)\b(?!\.py)|[^A-Za-z]"
)
PRODUCT = ("chainweb", "sessions")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def trees():
    """Parse each module of ours but the migrations: (its path in the repository, its tree)."""
    for package in PACKAGES:
        for path in sorted(Path(settings.BASE_DIR, package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(settings.BASE_DIR), ast.parse(path.read_text("utf-8"))


def first_lines(tree):
    """Yield (line, first line of the docstring) of the module, its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), docstring.splitlines()[0]


def named_tests(tree):
    """Yield (line, name) of each test function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name


def test_docstrings_open_with_a_verb_on_a_line_of_at_most_100_characters():
    wrong = [
        f"{path}:{line}: {first}"
        for path, tree in trees()
        for line, first in first_lines(tree)
        if NOT_A_VERB.match(first) or len(first) > 100
    ]
    assert not wrong, "\n".join(wrong)


def test_docstrings_of_the_product_open_with_an_imperative():
    wrong = [
        f"{path}:{line}: {first}"
        for path, tree in trees()
        for line, first in first_lines(tree)
        if path.parts[0] in PRODUCT and NOT_IMPERATIVE.match(first)
    ]
    assert not wrong, "\n".join(wrong)


def test_names_of_tests_have_at_most_70_characters():
    wrong = [
        f"{path}:{line}: {name}"
        for path, tree in trees()
        for line, name in named_tests(tree)
        if len(name) > 70
    ]
    assert not wrong, "\n".join(wrong)


def test_the_check_of_words_sees_docstrings_and_names_of_tests():
    tree = ast.parse('def test_it():\n    """What it does."""\n')
    assert list(first_lines(tree)) == [(1, "What it does.")]
    assert list(named_tests(tree)) == [(1, "test_it")]
    assert NOT_A_VERB.match("What it does.")
    assert not NOT_A_VERB.match("Items of a list.")
    for wrong in ("Returns it.", "The page.", "A page.", "{key: value}."):
        assert NOT_IMPERATIVE.match(wrong)
    for right in ("Return it.", "Pass it.", "Process it.", "manage.py keys FOLDER: keys."):
        assert not NOT_IMPERATIVE.match(right)
