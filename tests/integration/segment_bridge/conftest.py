import pytest

from headrace.local.simulators.splunk import SplunkSimulator
from services.segment_bridge.settings import SplunkSettings
from tests.unit.segment_bridge.audit_records import everything, write


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
