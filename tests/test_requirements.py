"""Every requirement of `docs/reference/requirements.md` has a test, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reference" / "requirements.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text("utf-8").splitlines()
    if re.match(r"\| [A-Z]+\d+ ", line)
]


@cache
def all_tests() -> set[str]:
    trees = (ast.parse(path.read_text("utf-8")) for path in TESTS.glob("test_*.py"))
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_requirements_are_numbered_in_order() -> None:
    assert [row[0] for row in ROWS] == [f"W{n}" for n in range(1, len(ROWS) + 1)]
    assert len(ROWS) >= 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_requirement_is_one_sentence_and_its_tests_exist(row: list[str]) -> None:
    number, words, held_by = row
    assert re.fullmatch(r"[A-Z].*\.", words), f"{number} is no sentence"
    assert ". " not in words.rstrip("."), f"{number} is more than one sentence"
    named = set(re.findall(r"`(test_\w+)`", held_by))
    assert named, f"{number} has no test: name one"
    assert not named - all_tests(), f"{number} names {sorted(named - all_tests())}, which are no tests"
