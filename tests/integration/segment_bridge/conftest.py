import asyncio
import os
import shlex
from collections.abc import AsyncIterator
from functools import partial

import pytest

from headrace.database.pool import Database
from headrace.local.simulators.chain import DIRECTORY, VARIABLES, Chain, ChainPorts, simulated_chain
from headrace.local.simulators.splunk import SplunkSimulator
from headrace_services.segment_bridge import app
from headrace_services.segment_bridge.handlers import Schedule
from headrace_services.segment_bridge.ledger import PostgresLedger
from headrace_services.segment_bridge.map_sources import read_maps
from headrace_services.segment_bridge.settings import (
    BridgeSettings,
    MapSettings,
    SegmentSettings,
    SplunkSettings,
)
from headrace_services.segment_bridge.store import DeadLetterTable, Runs
from tests import forked
from tests.integration.segment_bridge.harness import HEADRACE
from tests.processes import ROOT
from tests.unit.segment_bridge.audit_records import everything, write

# What only a shell understands.
SHELLS = frozenset("|&;<>()$`*?~\n")


@pytest.fixture
async def simulator(tmp_path):
    """A Splunk simulator whose `test_index` holds every record of every query."""
    async with SplunkSimulator() as opened:
        opened.index("test_index", write(tmp_path / "audit.jsonl", everything()))
        yield opened


@pytest.fixture
def settings_of(tmp_path):
    """Settings that lead to a simulator, `changes` apart; retries come at once."""

    def settings(simulator, **changes):
        netrc = tmp_path / "netrc"
        if not netrc.exists():
            simulator.write_netrc(netrc)
        return SplunkSettings(
            **{
                "url": simulator.url, "index": "test_index", "netrc": str(netrc),
                "earliest": "2026-07-31T00:00:00Z", "latest": "2026-08-01T00:00:00Z", **changes,
            }
        )  # fmt: skip

    return settings


@pytest.fixture
def settings(simulator, settings_of):
    return settings_of(simulator)


@pytest.fixture
async def chain(tmp_path) -> AsyncIterator[Chain]:
    """Simulators of Splunk, Kubernetes and Segment, with a thousand audit records."""
    async with simulated_chain(tmp_path / DIRECTORY, ChainPorts(0, 0, 0), count=1000) as opened:
        yield opened


@pytest.fixture
def bridge(chain: Chain, tables: Database, monkeypatch):
    """A replica; changes of the settings by class name."""
    monkeypatch.delenv("QUERY_EARLIEST_TIME", raising=False)
    known = chain.environment

    def make(*, bridge=None, segment=None, maps=None):
        netrc = known["CURL_NETRC"]
        segment_settings = SegmentSettings(
            **{"url": known["SEGMENT_BATCH_API"], "netrc": netrc} | (segment or {})
        )
        map_settings = MapSettings(**{"kubeconfig": known["KUBECONFIG_SRC"]} | (maps or {}))
        splunk = SplunkSettings(
            url=known["SPLUNK_API_URL"],
            index=known["SPLUNK_INDEX"],
            netrc=netrc,
            ca_file=known["SPLUNK_CA_FILE"],
        )
        return Schedule(
            settings=BridgeSettings(**bridge or {}),
            segment=segment_settings,
            runs=Runs(tables),
            ledger=PostgresLedger(tables),
            letters=partial(DeadLetterTable, tables),
            read_maps=partial(read_maps, segment_settings, map_settings),
            fetch=partial(app.fetch, splunk),
        )

    return make


@pytest.fixture
def shell(tmp_path):
    """Run a line of shell with a clean environment; gives exit code, stdout and stderr.

    A line that is one command of ours and needs no shell is forked.
    """

    async def run(line: str, given: bytes = b"", **environment: str) -> tuple[int, bytes, str]:
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        words = shlex.split(line)
        if words[0] == str(HEADRACE) and not SHELLS.intersection(line):
            code, output, errors = await forked.headrace(
                *words[1:],
                given=given,
                environment=clean | {"HOME": str(tmp_path)} | environment,
                directory=ROOT,
            )
            return code, output, errors.decode()
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", line,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=ROOT, env=clean | {"HOME": str(tmp_path)} | environment,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(given), 280)
        return process.returncode, output, errors.decode()

    return run
