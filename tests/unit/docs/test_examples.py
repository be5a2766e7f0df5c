"""The code in the tutorials is code as `make lint` wants it, so that an author can begin with a copy."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import blocks

ROOT = Path(__file__).parents[3]
# A row is an expression in a table, and indented there.
ROW = "services/headrace_services/registry.py"


@pytest.mark.parametrize("page", ["adding-a-service.md", "adding-a-sender.md"])
@pytest.mark.parametrize("command", [["check"], ["format", "--diff"]], ids=" ".join)
def test_the_linter_passes(page: str, command: list[str], tmp_path: Path):
    # As in the repository, so that the same modules are ours.
    for name in ("pyproject.toml", "libs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for path, code in blocks(page).items():
        if path.endswith(".py") and path != ROW:
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(code, encoding="utf-8")
            (place.parent / "__init__.py").touch()
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "services"]
    done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
