"""A release is one command: what it changes, pushes and refuses, on a repository with a remote of its own."""

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime

import pytest

from tests.composed import ROOT

KUSTOMIZATION = "deploy/kustomize/overlays/production/kustomization.yaml"
PLUGIN = "pytest-headrace/pyproject.toml"
FILES = ("pyproject.toml", PLUGIN, KUSTOMIZATION, "deploy/release.py", "deploy/release_notes.py")
CHANGELOG = (
    "# Changelog\n\n## [9.8.0] - unreleased\n\n### Added\n\n- a thing\n\n## [0.1.0] - 2026-01-01\n\n- first\n"
)


def git(where, *words):
    return subprocess.run(
        ["git", *words], cwd=where, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    remote, here = tmp_path / "remote", tmp_path / "here"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(here))
    for name in FILES:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, here / name)
    (here / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (here / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    for name, value in (("user.name", "A"), ("user.email", "a@example.test"), ("commit.gpgsign", "false")):
        git(here, "config", name, value)
    git(here, "remote", "add", "origin", str(remote))
    git(here, "add", "--all")
    git(here, "commit", "--quiet", "--message", "Begin")
    return here


def release(repository, step, version):
    return subprocess.run(
        [sys.executable, "deploy/release.py", step, version],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_release_sets_version_and_day_and_pushes_commit_and_tag(repository):
    for step in ("set", "publish"):
        done = release(repository, step, "9.8.0")
        assert (done.returncode, done.stderr) == (0, "")

    remote = repository.parent / "remote"
    assert git(remote, "log", "-1", "--format=%s", "main") == "Release 9.8.0"
    assert git(remote, "rev-parse", "v9.8.0^{commit}") == git(remote, "rev-parse", "main")
    assert re.search(r'^version = "9\.8\.0"$', git(remote, "show", "main:pyproject.toml"), re.MULTILINE)
    plugin = git(remote, "show", f"main:{PLUGIN}")
    assert re.findall(r'"headrace==(.*?)"|^version = "(.*)"$', plugin, re.MULTILINE) == [
        ("", "9.8.0"),
        ("9.8.0", ""),
    ]
    plugin = tomllib.loads(git(remote, "show", f"main:{PLUGIN}"))["project"]
    assert plugin["version"] == "9.8.0"
    assert "headrace==9.8.0" in plugin["dependencies"]
    assert "newTag: 9.8.0\n" in git(remote, "show", f"main:{KUSTOMIZATION}") + "\n"
    today = datetime.now(UTC).date().isoformat()
    assert f"## [9.8.0] - {today}\n" in git(remote, "show", "main:CHANGELOG.md")
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("version", "before", "reason"),
    [
        ("v9.8.0", (), "VERSION: got 'v9.8.0', expected X.Y.Z"),
        ("9.9.0", (), "CHANGELOG.md: got 0 lines"),
        ("9.8.0", ("switch", "--quiet", "--create", "aside"), "branch: got aside, expected main"),
        ("9.8.0", ("tag", "v9.8.0"), "v9.8.0 is there already"),
        ("9.8.0", ("rm", "--quiet", "--cached", "CHANGELOG.md"), "uncommitted changes: expected none"),
    ],
)
def test_a_release_that_cannot_be_made_says_why(repository, version, before, reason):
    if before:
        git(repository, *before)
    done = release(repository, "set", version)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert git(repository, "diff", "--name-only") == ""


def test_a_push_that_is_refused_says_so(repository):
    assert release(repository, "set", "9.8.0").returncode == 0
    git(repository, "remote", "set-url", "origin", str(repository.parent / "nowhere"))
    done = release(repository, "publish", "9.8.0")
    assert done.returncode == 1
    assert done.stderr.startswith("release: git push: ")
    assert done.stderr.endswith("what is left: git push --quiet --atomic origin main v9.8.0\n")
