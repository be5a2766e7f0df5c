"""What contributors and the repository's host run: hooks, workflows, templates, release notes."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from tests.composed import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
CHANGELOG = (
    "# Changelog\n\n## [0.3.0] - unreleased\n\n- later\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- a thing\n\n"
    "## [0.1.0] - 2026-11-01\n\n- earlier\n"
)


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return request.param.read_text(encoding="utf-8")


def test_there_is_a_workflow_for_each_step_to_a_release():
    assert [path.stem for path in WORKFLOWS] == ["image", "lint", "release", "test"]


def test_an_action_is_named_by_its_commit_and_version(workflow):
    """A tag of an action may be moved by whoever owns it: then other code runs with this repository's token."""
    used = re.findall(r"uses: (.+)", workflow)
    assert used
    # `./` is the action of this commit.
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./")
    assert [line for line in used if not pinned.fullmatch(line)] == []


def test_a_job_has_a_deadline_and_may_write_nothing_unasked(workflow):
    document = yaml.safe_load(workflow)
    assert document["permissions"] == {"contents": "read"}
    assert [name for name, job in document["jobs"].items() if "timeout-minutes" not in job] == []


def test_what_a_workflow_makes_is_a_target(workflow):
    assert set(re.findall(r"\bmake ([a-z-]+)", workflow)) - TARGETS == set()


def test_a_hook_runs_a_tool_of_the_virtual_environment():
    document = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in document["repos"]] == ["local"]
    hooks = document["repos"][0]["hooks"]
    lines = (ROOT / "Makefile").read_text(encoding="utf-8")
    for hook in hooks:
        if hook["language"] == "system":
            tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
            assert f"$(BIN)/{tool}" in lines


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        (
            "Say what a subject is\n\nThe body may have lines of more than sixty characters, as this one.\n",
            False,
        ),
        ("x" * 60, False),
        ("x" * 61, True),
        ("End with a period.\n\nBody.\n", True),
        ("Say it\n\nThe body ends with a period.\n", False),
        (f"Merge branch '{'x' * 60}'", False),
    ],
)
def test_a_commit_subject_is_short_and_has_no_period(message, refused):
    document = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = (hook for hook in document["repos"][0]["hooks"] if hook["language"] == "pygrep")
    # What pre-commit's pygrep makes of --multiline.
    found = re.search(hook["entry"], message, re.MULTILINE | re.DOTALL)
    assert bool(found) is refused


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_its_host_requires(form):
    document = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert document == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= document.keys()
    asked = [part for part in document["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in asked}) == len(asked)
    assert all(part["attributes"]["label"] for part in asked)


def test_the_devcontainer_is_built_on_a_locked_image():
    document = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    containerfile = ROOT / ".devcontainer" / document["build"]["dockerfile"]
    (base,) = re.findall(r"^FROM (\S+)$", containerfile.read_text(encoding="utf-8"), re.MULTILINE)
    assert base in (ROOT / "deploy" / "images.lock").read_text(encoding="utf-8").splitlines()
    assert document["postCreateCommand"] == "make install"


@pytest.fixture
def repository(tmp_path):
    """A repository of which a release is made, as far as its notes need one."""
    (tmp_path / "deploy").mkdir()
    script = (ROOT / "deploy" / "release_notes.py").read_text(encoding="utf-8")
    (tmp_path / "deploy" / "release_notes.py").write_text(script, encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    return tmp_path


def notes(repository, version, tag):
    (repository / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n', encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", "deploy/release_notes.py", tag],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_notes_are_the_section_of_the_release(repository):
    made = notes(repository, "0.2.0", "v0.2.0")
    assert (made.returncode, made.stdout) == (0, "### Added\n\n- a thing\n")


@pytest.mark.parametrize(
    ("version", "tag", "reason"),
    [
        ("0.2.0", "v0.2.1", "got v0.2.1, expected v0.2.0"),
        ("0.3.0", "v0.3.0", "got 'unreleased', expected YYYY-MM-DD"),
        ("0.4.0", "v0.4.0", "has no section [0.4.0]"),
    ],
)
def test_a_release_that_is_not_ready_says_why(repository, version, tag, reason):
    made = notes(repository, version, tag)
    assert (made.returncode, made.stdout) == (1, "")
    assert reason in made.stderr


def test_the_changelog_has_a_form_that_release_notes_read():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## .*$", text, re.MULTILINE)
    assert headings
    form = re.compile(r"## \[\d+\.\d+\.\d+\] - (unreleased|\d{4}-\d{2}-\d{2})")
    assert [heading for heading in headings if not form.fullmatch(heading)] == []
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
