"""`deploy/install.py`, which `make run` and `make install` begin with."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.composed import ROOT

SCRIPT = ROOT / "deploy" / "install.py"
LOCK = (ROOT / "locks" / "run.txt").read_text(encoding="utf-8")
# What an editable installation of this project is built with.
BUILD = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")


def script():
    spec = importlib.util.spec_from_file_location("deploy_install", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=240,
    )


def one_line(done):
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("error: Failed to fetch\n  Caused by: dns error", "the package index cannot be reached"),
        ("WARNING: Retrying after NewConnectionError(...)\nERROR: none", "the package index cannot be reached"),
        ("error: failed to write\n  Caused by: No space left on device (os error 28)", "no space left on the disk"),
        ("Collecting x\nERROR: THEY DO NOT MATCH THE HASHES\nmore", "ERROR: THEY DO NOT MATCH THE HASHES"),
        ("one\nlast\n\n", "last"),
        ("", "it said nothing"),
    ],
)  # fmt: skip
def test_what_an_installer_prints_becomes_one_line(said, meant):
    assert script().meaning(said) == meant


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    place = tmp_path / "none"
    assert one_line(run(str(place / ".venv"), "locks/run.txt")) == f"install: {place} cannot be written"


def test_a_home_that_does_not_exist_is_named_before_anything_is_made(tmp_path):
    place = tmp_path / ".venv"
    home = {"HOME": str(tmp_path / "nobody"), "HEADRACE_CACHE": "", "XDG_CACHE_HOME": ""}
    line = one_line(run(str(place), str(ROOT / "locks" / "run.txt"), "--kafka", **home))
    assert line.startswith(f"install: the home directory {tmp_path / 'nobody'} does not exist")
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_line_says_so_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    module, place, ran = script(), tmp_path / ".venv", []

    def run(what, command):
        ran.append(what)
        if "venv" not in command:
            raise module.Failed(f"{what}: {module.meaning('Caused by: dns error')}")
        (place / "bin").mkdir(parents=True)

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(sys, "argv", ["install.py", str(place), str(ROOT / "locks" / "run.txt")])
    assert module.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"install: \d+ packages with pip: the package index cannot be reached", line)
    assert ran[0] == "creating the virtual environment"
    assert ran[1].startswith("uv ")
    assert not place.exists()


def lock_of(names, path):
    texts = [re.search(rf"^{name}==.*?(?=^\S|\Z)", LOCK, re.MULTILINE | re.DOTALL) for name in names]
    path.write_text("".join(text[0] for text in texts), encoding="utf-8")
    return str(path)


@pytest.mark.slow
def test_pip_installs_the_same_where_uv_does_not(tmp_path):
    place = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    (version,) = re.findall(
        r"^uv==(\S+)", (ROOT / "locks" / "uv.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    fake = place / "bin" / "uv"
    fake.write_text(
        f'#!/bin/sh\ntest "$1" = --version && echo "uv {version}" || {{ echo "error: broken"; exit 2; }}\n'
    )
    fake.chmod(0o755)
    done = run(str(place), lock_of(BUILD, tmp_path / "lock.txt"))
    if done.returncode and "the package index cannot be reached" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    assert "with pip, because uv failed: 5 packages: error: broken" in done.stdout
    asked = subprocess.run(
        [place / "bin" / "python", "-c", "import headrace, hatchling; print(headrace.__path__[0])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(asked.stdout.strip()) == ROOT / "libs" / "headrace"
