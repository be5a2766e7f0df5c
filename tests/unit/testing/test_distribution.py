"""The distribution of the pytest plugin."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_it_is_released_with_the_version_of_headrace_that_it_needs():
    plugin, headrace = project(ROOT / "pytest-headrace"), project(ROOT)
    assert plugin["version"] == headrace["version"]
    needed = [name for name in plugin["dependencies"] if name.startswith("headrace")]
    assert [name.rpartition("==")[2] for name in needed] == [headrace["version"]]
    assert plugin["requires-python"] == headrace["requires-python"]


def test_a_run_without_the_fixture_imports_nothing_of_headrace():
    (module,) = (ROOT / "pytest-headrace").glob("*.py")
    body = ast.parse(module.read_text(encoding="utf-8")).body
    names = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    names += [name.name for node in body if isinstance(node, ast.Import) for name in node.names]
    assert [name for name in names if name.startswith("headrace")] == []
