"""A part of the integration tests, their servers being containers behind testcontainers."""

import asyncio
import os
import re
import sys

import pytest

from tests.composed import ROOT
from tests.containers.engine import ENGINE
from tests.waiting import eventually

PARTS = ("tests/integration/bus", "tests/integration/database", "tests/integration/archiver")


@pytest.fixture
async def docker_host(tmp_path):
    """Docker's protocol, spoken by podman."""
    if ENGINE != "podman":
        yield {}
        return
    socket = tmp_path / "podman.sock"
    service = await asyncio.create_subprocess_exec(
        ENGINE, "system", "service", "--time=0", f"unix://{socket}"
    )
    try:
        await eventually(socket.exists, within_seconds=30)
        yield {
            "DOCKER_HOST": f"unix://{socket}",
            "TESTCONTAINERS_RYUK_DISABLED": "true",
            "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
            "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
        }
    finally:
        service.terminate()
        await asyncio.wait_for(service.wait(), 30)


async def test_integration_tests_pass_against_containers(docker_host, record_property):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PARTS,
        cwd=ROOT, env=os.environ | docker_host | {"HEADRACE_TEST_ENGINES": "containers"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    record_property("figures", said.splitlines()[-1])
    assert process.returncode == 0, said[-5000:]
    assert re.search(r"[1-9]\d* passed", said), said[-1000:]
