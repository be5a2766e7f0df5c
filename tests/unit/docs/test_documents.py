"""What the documents name is there."""

import re
from itertools import chain
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import typer.main

from headrace.local.ports import EnginePorts
from headrace.runtime.settings import ProcessSettings
from headrace_services.__main__ import command
from headrace_services.registry import SERVICES

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    ROOT / "docs" / "seeds" / "README.md",
]
# Written by a command; its words are not ours to check here.
PROSE = [path for path in DOCUMENTS if path.name != "benchmarks.md"]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# Not a URL's path.
TREE = re.compile(r"(?<!\w/)(?:libs|services|tests|docs|\.ci)/[\w./-]+")
# Read by the command line, the installer and the fault points, not by a settings class; of HEADRACE_POSTGRES_<SERVICE>
# the beginning.
OTHER_VARIABLES = {
    # The tests' own.
    "HEADRACE_TEST_KAFKA",
    "HEADRACE_TEST_POSTGRES",
    "HEADRACE_TEST_S3",
    # Of the pytest plugin and the examples.
    "HEADRACE_STACK",
    "HEADRACE_DIRECTORY", "HEADRACE_CACHE", "HEADRACE_TOKEN", "HEADRACE_FAULT_POINTS", "HEADRACE_POSTGRES_",
    "HEADRACE_MAVEN_REPOSITORY",
}  # fmt: skip
# Of the examples, and what a start makes.
NOT_IN_THE_TREE = re.compile(r"services/headrace_services/(last_seen|node_reports|<name>)/.*")


@pytest.fixture(params=PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def document(request):
    return request.param


def code_of(document):
    """Every piece of code: blocks and spans."""
    text = document.read_text(encoding="utf-8")
    blocks = [block for _, block in FENCE.findall(text)]
    return "\n".join(chain(blocks, CODE.findall(FENCE.sub("", text))))


def slug(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_link_within_the_repository_leads_somewhere(document):
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if urlsplit(link).scheme:
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (
            anchor and anchor not in map(slug, HEADING.findall(target.read_text(encoding="utf-8")))
        ):
            broken.append(link)
    assert broken == []


def test_every_make_target_is_in_the_makefile(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", code_of(document))) - targets == set()


def test_every_subcommand_is_one_of_the_commands(document):
    commands = cast("Any", typer.main.get_command(command())).commands
    named = re.findall(r"(?<![\w./])headrace ([a-z][a-z-]+)(?: ([a-z][a-z-]*))?", code_of(document))
    unknown = [name for name, _ in named if name not in commands]
    groups = {"assisted", "dead-letters", "engine", "rules"}
    unknown += [sub for name, sub in named if name in groups and sub and sub not in commands[name].commands]
    assert unknown == []


def test_every_file_that_is_named_is_there(document):
    named = {
        path.rstrip("/.") for path in TREE.findall(code_of(document)) if not NOT_IN_THE_TREE.fullmatch(path)
    }
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_variable_of_ours_is_a_setting(document):
    known = set(CODE.findall((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")))
    known |= set(re.findall(r"\$\{(\w+):[-?]", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    named = set(
        re.findall(r"\b((?:HEADRACE|ARCHIVER|PAYLOAD_TRACKER)_[A-Z0-9_]+)\b(?!\*)", code_of(document))
    )
    assert named - known - OTHER_VARIABLES == set()


def test_every_url_to_try_is_at_a_default_port(document):
    seed = EnginePorts.seed()
    ports = {row.port for row in SERVICES} | {seed.s3, seed.s3_console, ProcessSettings().admin_port}
    named = {int(port) for port in re.findall(r"http://localhost:(\d+)", code_of(document))}
    assert named - ports <= ({8080} if document.name == "differences.md" else set())


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
