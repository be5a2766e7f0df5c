"""The stack of compose.yaml: it comes up healthy, the flow works, and so do the documents' commands."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from headrace.samples import KINDS, SampleOptions
from tests.composed import COMPOSE, ROOT
from tests.containers.conftest import STARTED
from tests.containers.engine import ENGINE, command, said
from tests.containers.memory import memory_of
from tests.waiting import eventually

DOCUMENT = yaml.safe_load(Path(__file__).with_name("ros_document.yaml").read_text(encoding="utf-8"))
SAYS_SECONDS = 120.0
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


class Shell:
    """Runs commands as one session of a person would, in a directory that has the samples."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        tools = directory / "tools"
        tools.mkdir()
        # Of the environment that runs the tests, and what a bare Debian has not.
        write(tools / "podman-compose", f'exec {sys.executable} -m podman_compose "$@"')
        write(tools / "uuidgen", "cat /proc/sys/kernel/random/uuid")
        self.environment = os.environ | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "COMPOSE_FILE": str(COMPOSE),
        }

    def run(self, text: str, *, ends_by: str = "", shows: str = "") -> tuple[int, str]:
        """Exit status and what it said; what runs on gets the signal once it has shown the pattern."""
        keep = "trap 'declare -p CSV_FILENAME > variables 2>/dev/null' EXIT; . ./variables 2>/dev/null\n"
        with (self.directory / "output").open("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                ("bash", "-c", keep + text),
                cwd=self.directory, env=self.environment, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            try:
                if ends_by:
                    self.wait_until_said(shows)
                    os.killpg(process.pid, signal.Signals[f"SIG{ends_by}"])
                status = process.wait(SAYS_SECONDS)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if ends_by:
            # podman exec passes no signal on: what runs in the container would run on.
            command(ENGINE, "exec", "kafka_1", "sh", "-c", END_CONSUMERS)
        return (0 if ends_by else status), self.said()

    def wait_until_said(self, shows: str) -> None:
        deadline = time.monotonic() + SAYS_SECONDS
        while not re.search(shows, self.said()):
            assert time.monotonic() < deadline, f"not said: {shows}\n{self.said()[-2000:]}"
            time.sleep(0.2)

    def said(self) -> str:
        return (self.directory / "output").read_text(encoding="utf-8", errors="replace")


def write(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o700)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    directory = tmp_path_factory.mktemp("document")
    archive, _ = KINDS["cost"].generate(directory / "samples", SampleOptions(seed=7))
    (directory / "cost-mgmt.tar.gz").write_bytes(archive.read_bytes())
    return Shell(directory)


@pytest.mark.parametrize("number", range(len(DOCUMENT)))
async def test_the_documents_command(healthy, shell, number, record_property):
    item = DOCUMENT[number]
    shows = item.get("shows", "")
    # What follows an upload is seen when it has been worked on.
    state = {}

    async def as_it_should() -> bool:
        status, text = await asyncio.to_thread(
            shell.run, item["run"], ends_by=item.get("ends_by", ""), shows=shows
        )
        state.update(status=status, text=text)
        assert status == item.get("status", 0), text[-2000:]
        assert re.search(shows, text), text[-2000:]
        return True

    await eventually(as_it_should, within_seconds=1.0 if "POST" in item["run"] else 60.0, every_seconds=1.0)
    figures = f"$ {item['run'].strip()}\n{item.get('because', 'as printed')}"
    if "instead" in item:
        status, text = await asyncio.to_thread(shell.run, item["instead"])
        assert status == 0, text
        assert re.search(item.get("shows_instead", ""), text), text
        figures += f"; instead: {item['instead']}"
    record_property("figures", figures)
