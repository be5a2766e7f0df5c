"""The wheel, installed into an environment of its own and run from another folder: no checkout is near."""

import re
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import version
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from headrace_services.registry import SERVICES
from tests.e2e.command import REPOSITORY, environment


def site_packages(root):
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(root), "platbase": str(root)}))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment's folder. What Headrace needs, it takes from the environment that runs the tests."""
    root = tmp_path_factory.mktemp("installed")
    (wheel,) = WheelBuilder(str(REPOSITORY)).build(directory=str(root), versions=["standard"])
    venv.create(root / "venv", symlinks=True)
    site = site_packages(root / "venv")
    # A path file's own path files are not read, so the checkout that is installed there stays unknown.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    python = root / "venv" / "bin" / "python"
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", *options, wheel],
        check=True,
        timeout=120,
    )
    return root / "venv"


@pytest.fixture
def run(installed, tmp_path):
    def typed(*words):
        return subprocess.run(
            [installed / "bin" / "headrace", *words],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return typed


def files(root):
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }


def test_the_installed_command_works_anywhere_and_writes_nothing_beside_itself(installed, run, tmp_path):
    before = files(installed)

    assert run("--version").stdout == f"headrace {version('headrace')}\n"
    assert re.search(r"\bdemo\b", run("--help").stdout)
    listed = run("services").stdout
    assert [row.name for row in SERVICES if row.name not in listed] == []
    # Reads the pack's rules and their content.
    assert run("sample", "insights").returncode == 0
    judged = run("rules", "try", "payload.tar.gz")
    assert (judged.returncode, judged.stderr) == (0, "")
    assert "CERTIFICATES_EXPIRING" in judged.stdout
    # Copies templates.
    made = run("rules", "new", "my-rules")
    assert (made.returncode, made.stderr) == (0, "")
    assert (tmp_path / "my-rules" / "pyproject.toml").exists()

    assert files(installed) == before
