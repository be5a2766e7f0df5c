"""The broker behind ingress is away, silent, or gone with its acknowledgement: behind a proxy of the tests' own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
import pytest_asyncio

from tests.calibration import Calibration
from tests.integration.ingress.harness import Ingress, new_id, open_ingress
from tests.kafka_proxy import KafkaProxy
from tests.proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(kafka_url: str) -> AsyncIterator[TcpProxy]:
    async with KafkaProxy.open(kafka_url) as opened:
        yield opened


@asynccontextmanager
async def behind(proxy: TcpProxy, s3_url: str, **variables: Any) -> AsyncIterator[Ingress]:
    async with open_ingress(proxy.address, s3_url, stop_seconds=3, **variables) as ingress:
        yield ingress


async def recover(ingress: Ingress, request_id: str) -> float:
    """Seconds until the same upload is accepted."""
    began = monotonic()

    async def accepted() -> bool:
        return (await ingress.upload(b"abc", request_id)).status == 202

    await eventually(accepted, within_seconds=40, every_seconds=0.2)
    return monotonic() - began


@pytest.mark.parametrize("how", ["refuses", "hangs"])
@pytest.mark.row(2)
async def test_no_upload_is_accepted_while_the_broker_is_away(proxy: TcpProxy, s3_url: str, how: str):
    async with behind(proxy, s3_url) as ingress:
        assert (await ingress.upload(b"abc")).status == 202
        if how == "refuses":
            await proxy.refuse()
        else:
            proxy.up.hang = True
        ids, machine, began = [new_id() for _ in range(5)], Calibration(), monotonic()
        answers = await asyncio.gather(*(ingress.upload(b"abc", request_id) for request_id in ids))
        seconds = monotonic() - began
        assert [(answer.status, answer.headers["Retry-After"]) for answer in answers] == [(503, "5")] * 5
        assert seconds < machine.wall(10)
        if how == "refuses":
            await proxy.restore()
        proxy.up.hang = False
        recovered = await recover(ingress, ids[0])
        print(f"broker {how}: 503 after {seconds:.1f} s, accepted {recovered:.1f} s after its return")
        assert recovered <= machine.wall(20)
        assert await ingress.announced(ids[0])
        assert await ingress.objects(ids[0]) == [ids[0]]


@pytest.mark.row(3)
async def test_an_acknowledgement_that_is_lost_costs_a_duplicate_at_most(proxy: TcpProxy, s3_url: str):
    async with behind(proxy, s3_url, ANNOUNCESECONDS="4") as ingress:
        assert (await ingress.upload(b"abc")).status == 202
        request_id = new_id()
        # The broker hears everything and its answers do not come through; then every connection is cut.
        proxy.down.hang = True
        passed = proxy.bytes_up
        uploading = asyncio.create_task(ingress.upload(b"abc", request_id))
        await eventually(lambda: proxy.bytes_up > passed + 100)
        await asyncio.sleep(0.2)
        proxy.cut()
        proxy.down.hang = False
        answer = await uploading
        assert answer.status in {202, 503}
        if answer.status == 503:
            await recover(ingress, request_id)
        announced = await ingress.announced(request_id)
        print(f"lost acknowledgement: {answer.status}, announced {len(announced)} times")
        assert 1 <= len(announced) <= 2
        assert await ingress.objects(request_id) == [request_id]


@pytest.mark.row(21)
async def test_a_broker_far_away_is_only_slow(proxy: TcpProxy, s3_url: str):
    async with behind(proxy, s3_url) as ingress:
        proxy.up.latency_seconds, proxy.up.jitter_seconds, proxy.up.slice_bytes = 0.05, 0.02, 2000
        try:
            answers = await asyncio.gather(*(ingress.upload(b"abc") for _ in range(10)))
        finally:
            proxy.up.latency_seconds, proxy.up.jitter_seconds, proxy.up.slice_bytes = 0.0, 0.0, 1 << 16
        assert {answer.status for answer in answers} == {202}
