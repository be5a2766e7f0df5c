"""The fault matrix is whole: every row has its tests, and its page says what was measured."""

import ast
from pathlib import Path

import pytest

from tests.faults.recording import PAGE, ROOT, page, read_figures
from tests.faults.rows import ROWS, Row


def marked(path: Path) -> set[int]:
    """Rows named by `mark.row(…)` on the tests of a file, or on the whole file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text if "mark.row(" in text else "")
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        argument.value
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func) == "pytest.mark.row"
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    }


def test_every_row_of_the_matrix_is_in_the_table():
    assert [row.number for row in ROWS] == list(range(1, 35))


def test_every_row_has_a_test():
    found = set().union(*(marked(path) for path in (ROOT / "tests").rglob("test_*.py")))
    assert {row.number for row in ROWS} - found == set()
    assert found <= {row.number for row in ROWS}


def test_the_page_is_as_the_table_and_the_figures_are():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text, read_figures()), "renew it with: python -m tests.faults.recording"


def test_every_test_with_figures_is_there():
    for name in read_figures():
        path, _, function = name.partition("::")
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_a_row_whose_tiers_differ_in_their_lengths_is_refused():
    with pytest.raises(ValueError, match="different lengths"):
        Row(1, "", "", short={"kills": 1}, full={})


def test_the_page_shows_ends_figures_and_machine():
    entry = {
        "rows": [1], "cases": 3, "failed": 1, "skipped": 0, "seconds": 1.5, "figures": ["kills: 20"],
        "date": "2030-01-01", "machine": "2 cores", "commit": "abc",
    }  # fmt: skip
    text = page(PAGE.read_text(encoding="utf-8"), {"tests/a.py::test_b": entry})
    assert "- Machine 1: 2 cores." in text
    assert (
        "| `tests/a.py::test_b` | 2 passed, 1 failed, 1.5 s | kills: 20 | 2030-01-01, abc, machine 1 |"
        in text
    )
