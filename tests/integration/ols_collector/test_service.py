"""The collector as a service, beside its ingress."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings, ProcessSettings, environment_name
from headrace.service.process import running
from headrace_services.ols_collector.config import LOCAL_CLUSTER_ID
from headrace_services.ols_collector.settings import OlsCollectorSettings
from headrace_services.registry import BY_NAME
from tests.integration.ingress.harness import UPLOAD, open_ingress
from tests.integration.ols_collector.harness import collect, open_peer
from tests.unit.ols_collector.data import members, names, plan, write
from tests.waiting import eventually

ROWS = [BY_NAME["ols_collector"]]


@pytest.fixture
def told(monkeypatch):
    for field in OlsCollectorSettings.model_fields:
        monkeypatch.delenv(environment_name(OlsCollectorSettings, field), raising=False)

    def tell(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return tell


async def health(host):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{host.admin_port}/health") as answer,
        session.get(f"http://127.0.0.1:{host.admin_port}/metrics") as metrics,
    ):
        return answer.status, await answer.json(), await metrics.text()


async def test_what_is_written_arrives_by_itself_and_the_admin_port_says_so(told, tmp_path):
    """Users want: a status page, metrics, an endpoint of their own."""
    root = tmp_path / "not-there-yet"
    async with open_peer(root, 503) as peer:
        told(
            OLS_USER_DATA_PATH=str(root), INGRESS_URL=f"{peer.url}/upload", OLS_USER_DATA_COLLECTION_INTERVAL="0.05",
            OLS_COLLECTOR_INGRESS_MAX_RETRIES="1",
        )  # fmt: skip
        async with running(ROWS, EngineSettings(), ProcessSettings(admin_port=0, lenient=True)) as host:

            async def waits():
                status, body, _ = await health(host)
                waiting = body["facts"]["ols_collector"]["collector"].get("waiting_for", "")
                return status == 200 and waiting == f"data_storage '{root}' does not exist yet"

            await eventually(waits, within_seconds=60)
            await asyncio.to_thread(write, root, "feedback/f.json")
            await eventually(lambda: len(peer.uploads) == 2 and not names(root), within_seconds=60)

            async def well():
                status, body, metrics = await health(host)
                assert status == 200
                facts = body["facts"]["ols_collector"]["collector"]
                assert facts["cycles"] >= 2
                assert facts["last_with_data"]["sent"] == 1
                assert 'ols_collector_files_total{outcome="failed"}' in metrics
                assert "ols_collector_failed_cycles_total" in metrics
                return body["services"]["ols_collector"] == {"collects": None}

            await eventually(well, within_seconds=60)
    assert peer.uploads[1].headers["User-Agent"].endswith(LOCAL_CLUSTER_ID)


async def test_sigterm_finishes_the_upload_under_way(told, tmp_path):
    write(tmp_path, "feedback/f.json")
    async with open_peer(tmp_path, hold=asyncio.Event()) as peer, AsyncExitStack() as process:
        told(OLS_USER_DATA_PATH=str(tmp_path), INGRESS_URL=f"{peer.url}/upload")
        settings = ProcessSettings(admin_port=0, lenient=True, stop_seconds=60)
        host = await process.enter_async_context(running(ROWS, EngineSettings(), settings))
        await eventually(lambda: peer.uploads and peer.uploads[0].body, within_seconds=60)
        stopping = asyncio.create_task(host.stop())
        await asyncio.sleep(0)
        assert names(tmp_path) == {"feedback/f.json"}
        peer.hold.set()
        await stopping
        assert not names(tmp_path)
        assert len(peer.uploads) == 1


async def test_data_that_stay_are_a_reason_not_to_be_ready(told, tmp_path):
    write(tmp_path, "feedback/f.json")
    async with open_peer(tmp_path, *[401] * 10_000) as peer:
        told(OLS_USER_DATA_PATH=str(tmp_path), INGRESS_URL=f"{peer.url}/upload")
        async with running(ROWS, EngineSettings(), ProcessSettings(admin_port=0, lenient=True)) as host:

            async def unready():
                status, body, _ = await health(host)
                return status == 503 and "401" in (body["services"]["ols_collector"]["collects"] or "")

            await eventually(unready, within_seconds=60)
            _, body, _ = await health(host)
            last = body["facts"]["ols_collector"]["collector"]["last"]
            assert (last["sent"], last["failed"]) == (0, 1)


async def test_elsewhere_than_in_the_local_shape_the_directory_must_be_named(told):
    with pytest.raises(ConfigurationError, match="data_storage is not set"):
        async with running(ROWS, EngineSettings(), ProcessSettings(admin_port=0)):
            pass


async def test_our_own_ingress_takes_it(kafka_url, s3_url, tmp_path):
    write(tmp_path, "feedback/f.json", '{"f":1}', age_seconds=9)
    write(tmp_path, "transcripts/u/c/t.json", '{"t":1}', age_seconds=8)
    async with open_ingress(kafka_url, s3_url, lenient=True) as ingress:
        outcome = await collect(plan(tmp_path, ingress_url=ingress.url + UPLOAD))
        assert (outcome.sent, outcome.failed) == (2, 0)
        assert not names(tmp_path)
        (key,) = await ingress.objects()
        announcement = await ingress.announcement(key)
        assert announcement["service"] == "ols"
        assert announcement["content_type"] == "application/vnd.redhat.ols.periodic+tar"
        async with ingress.session.get(announcement["url"]) as stored:
            assert members(await stored.read()) == {
                "feedback/f.json": b'{"f":1}',
                "transcripts/u/c/t.json": b'{"t":1}',
            }
