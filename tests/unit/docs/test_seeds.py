"""The page of the documents' statements: it forgets no line, and every test that it names is there."""

import ast
import json
import re
import tomllib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml

from headrace.contracts.identity import decode_identity
from headrace.samples.cost_columns import ROS_CONTAINER
from headrace_services.segment_bridge import maps

ROOT = Path(__file__).parents[3]
SEEDS = ROOT / "docs" / "seeds"
PAGE = SEEDS / "README.md"
NAMES = (
    "ros-ocp-data-flow.md",
    "ccx-data-pipeline.md",
    "ols-user-data-collection.md",
    "on-prem-data-collection.md",
    "segment-bridge.md",
)
ROW = re.compile(r"^\| (\d[\d, -]*) \| (.+) \| (.+) \|$", re.MULTILINE)
NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# A place in differences.md, or why no program can show it.
REASON = re.compile(r"\(\.\./differences\.md#[\w-]+\)|^its own")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
COMMANDS = re.compile(
    r"^(?:\./|<envs |fetch-|[A-Z_]+=|"
    r"(?:cd|curl|podman|podman-compose|docker-compose|open|echo|export|cat|kubectl|oc|pip|python) )"
)


def text_of(name):
    return (SEEDS / name).read_text(encoding="utf-8")


@cache
def rows():
    """Of each document: the lines, the statement and what shows it."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        name: [(numbers(row[0]), *row[1:]) for row in ROW.findall(part)]
        for name, part in zip(parts[1::2], parts[2::2], strict=True)
        if name in NAMES
    }


def numbers(text):
    ends = [part.split("-") for part in text.split(", ")]
    return {number for end in ends for number in range(int(end[0]), int(end[-1]) + 1)}


def commands(name):
    """Each line of its code blocks, and of its sentences, that a person types."""
    blocks = [text for kind, text in FENCE.findall(text_of(name)) if kind in {"", "bash", "shell"}]
    lines = [line.strip() for text in blocks for line in text.splitlines()]
    spans = SPAN.findall(FENCE.sub("", text_of(name)))
    return [line for line in (*lines, *spans) if COMMANDS.match(line)]


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_a_document_is_in_a_row(name):
    told = set().union(*(lines for lines, _, _ in rows()[name]))
    lines = text_of(name).splitlines()
    # A heading, and a comment in a block, names what follows.
    said = {number for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")}
    assert sorted(said - told) == []
    assert max(told) <= len(lines)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_document_stands_in_the_page(name):
    page = " ".join(statement for _, statement, _ in rows()[name]).replace("\\|", "|")
    assert [line for line in commands(name) if f"`{line}`" not in page] == []


def test_commands_are_found_in_blocks_and_in_sentences():
    assert {name: len(commands(name)) for name in NAMES} == {
        "ros-ocp-data-flow.md": 35,
        "ccx-data-pipeline.md": 3,
        "ols-user-data-collection.md": 1,
        "on-prem-data-collection.md": 0,
        "segment-bridge.md": 11,
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_row_names_tests_that_are_there_or_the_reason_why_not(name):
    for _, statement, shown in rows()[name]:
        nodes = NODE.findall(shown)
        assert nodes or REASON.search(shown), statement
        assert shown.count("::") == len(nodes), shown
        for path, test in nodes:
            assert test in functions_of(ROOT / path), f"{path}::{test}"


@cache
def functions_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_columns_of_the_document_are_the_samples():
    (line,) = re.findall(r"^report_period_start,.*$", text_of("ros-ocp-data-flow.md"), re.MULTILINE)
    assert tuple(line.split(",")) == tuple(ROS_CONTAINER)


def test_the_identity_of_the_document_is_read():
    (header,) = re.findall(r'"b64_identity": "([^"]+)"', text_of("ccx-data-pipeline.md"))
    assert decode_identity(header).org_id == "12383032"


def test_the_user_signup_of_the_document_is_mapped():
    (block,) = (text for _, text in FENCE.findall(text_of("segment-bridge.md")) if "kind: UserSignup" in text)
    found = maps.FoundMap()
    maps._add_user(found, yaml.safe_load(block), numeric=False)
    assert json.loads(found.json()) == {"foobar": "1234567"}


def test_the_project_can_be_installed_from_its_folder():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["build-system"]["build-backend"]
    # `pip install -e .` is how `make install` ends.
    installed = json.loads(distribution(project["project"]["name"]).read_text("direct_url.json") or "{}")
    assert installed["dir_info"]["editable"]
