"""The stack of compose.yaml: it comes up healthy, the flow works, and so do the documents' commands."""

import asyncio
import os
import re
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from headrace.samples import KINDS, SampleOptions
from tests.composed import COMPOSE, ROOT
from tests.containers.conftest import STARTED
from tests.containers.engine import ENGINE, command, said
from tests.containers.memory import memory_of
from tests.printed import DOCUMENT, Shell
from tests.waiting import eventually

END_CONSUMERS = (
    "for p in /proc/[0-9]*; do grep -q '[C]onsoleConsumer' $p/cmdline && kill ${p#/proc/}; done; true"
)


async def test_every_container_becomes_healthy(stack, request, record_property):
    await stack.healthy()
    seconds = time.monotonic() - request.config.stash[STARTED]
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    record_property("figures", f"all healthy after {seconds:.0f} s; runnable processes a core: {load:.1f}")
    # The bar is for a machine of one's own.
    assert seconds < 90 or load > 1.5


async def test_init_ended_well_and_nothing_was_restarted(healthy):
    # Nothing depends on it, so that it may be the last.
    async def ended() -> str:
        status, code = said(
            ENGINE, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "init_1"
        ).split()
        return code if status == "exited" else ""

    assert await eventually(ended, within_seconds=120, every_seconds=0.5) == "0"
    restarts = {
        name: said(ENGINE, "inspect", "--format", "{{.RestartCount}}", name) for name in healthy.names
    }
    assert {name: count for name, count in restarts.items() if count != "0"} == {}


async def test_dataflow_passes(healthy, record_property):
    idle = await asyncio.to_thread(memory_of, healthy)
    flow = await asyncio.create_subprocess_exec(
        sys.executable, "tests/e2e/dataflow.py", "--stack", "compose",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    saying = asyncio.create_task(flow.communicate())
    most = idle
    while not saying.done():
        most = max(most, await asyncio.to_thread(memory_of, healthy), key=lambda seen: seen.total)
    text = (await saying)[0].decode()
    record_property("figures", f"{text}memory, idle:\n{idle}\nmemory, during the flow:\n{most}")
    assert flow.returncode == 0, text
    assert most.total < 2.5 * 1024


def write(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o700)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    directory = tmp_path_factory.mktemp("document")
    archive, _ = KINDS["cost"].generate(directory / "samples", SampleOptions(seed=7))
    (directory / "cost-mgmt.tar.gz").write_bytes(archive.read_bytes())
    tools = directory / "tools"
    tools.mkdir()
    # Of the environment that runs the tests, and what a bare Debian has not.
    write(tools / "podman-compose", f'exec {sys.executable} -m podman_compose "$@"')
    write(tools / "uuidgen", "cat /proc/sys/kernel/random/uuid")
    return Shell(
        directory,
        os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "COMPOSE_FILE": str(COMPOSE)},
        # podman exec passes no signal on: what runs in the container would run on.
        ended=partial(command, ENGINE, "exec", "kafka_1", "sh", "-c", END_CONSUMERS),
    )


@pytest.mark.parametrize("number", range(len(DOCUMENT)))
async def test_the_documents_command(healthy, shell, number, record_property):
    item = DOCUMENT[number]
    # What follows an upload is seen when it has been worked on.
    await eventually(
        lambda: asyncio.to_thread(shell.shows, item),
        within_seconds=1.0 if "POST" in item["run"] else 60.0,
        every_seconds=1.0,
    )
    figures = f"$ {item['run'].strip()}\n{item.get('because', 'as printed')}"
    if "instead" in item:
        status, text = await asyncio.to_thread(shell.run, item["instead"])
        assert status == 0, text
        assert re.search(item.get("shows_instead", ""), text), text
        figures += f"; instead: {item['instead']}"
    record_property("figures", figures)
