"""What a process of one service has loaded: its own room and the engines it uses, not the whole platform."""

import json
import subprocess
import sys

import pytest

from headrace_services.registry import SERVICES

# Whoever loads one of these pays for it in every process: memory, and a start's time.
WATCHED = [
    "aiokafka",
    "asyncpg",
    "cramjam",
    "insights",
    "numpy",
    "opentelemetry",
    "polars",
    "rich",
    "sqlalchemy",
]
# A service that neither reads nor writes topics loads the client of its database, and this.
OTHERS = {"kruize": ["numpy"]}
LOADED = {
    row.name: sorted([*(["asyncpg"] if row.database else []), *OTHERS.get(row.name, [])])
    for row in SERVICES
    if not row.topics
}
# What `headrace serve` imports, then each service's room in a process of its own.
CHILD = """
import json, os, sys
from headrace_services.__main__ import command
command()
from headrace.cli import lifetime, serving
from headrace_services.registry import BY_NAME
for name in sys.argv[1:]:
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    BY_NAME[name].module("app")
    print(json.dumps([name, sorted(sys.modules)]), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def modules() -> dict[str, list[str]]:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *LOADED], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return dict(json.loads(line) for line in child.stdout.splitlines())


@pytest.mark.parametrize("name", LOADED)
def test_a_service_without_kafka_loads_the_engines_it_uses_and_no_other_service(modules, name: str):
    loaded = modules[name]
    assert [engine for engine in WATCHED if engine in loaded] == LOADED[name]
    others = {f"headrace_services.{service.name}" for service in SERVICES} - {f"headrace_services.{name}"}
    rooms = {module for module in loaded if module.rpartition(".")[0] in others}
    # The command line has every service's commands, which import what they need when they run.
    assert {module.rpartition(".")[2] for module in rooms} <= {"commands"}


def test_services_without_topics_are_watched():
    assert {"ols", *OTHERS} <= LOADED.keys()
