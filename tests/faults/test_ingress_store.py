"""The store behind ingress is busy, silent, broken or lying."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from headrace.objects.store import PART_BYTES
from headrace.runtime.retries import RetryPolicy
from headrace_services.ingress import store as ingress_store
from tests.calibration import Calibration
from tests.integration.ingress.harness import Ingress, new_id, open_ingress
from tests.proxy import S3Faults, S3Proxy
from tests.waiting import eventually

SMALL, LARGE = 1000, PART_BYTES + 70_000
WITHIN_SECONDS = 1.5
# Uploads, so that chance does not decide.
FEWEST = 400

Behind = Callable[..., object]


@asynccontextmanager
async def behind_proxy(kafka_url: str, s3_url: str) -> AsyncIterator[tuple[Ingress, S3Proxy]]:
    async with (
        S3Proxy.open(s3_url) as proxy,
        open_ingress(
            kafka_url, s3_url, s3_seen_by_ingress=proxy.url, STORESECONDS=str(WITHIN_SECONDS), stop_seconds=3
        ) as ingress,
    ):
        yield ingress, proxy


@pytest.mark.row(4)
@pytest.mark.timeout(240)
async def test_a_store_that_throttles_three_puts_in_ten_is_got_round(kafka_url: str, s3_url: str, row):
    statuses: list[int] = []
    async with (
        S3Proxy.open(s3_url) as proxy,
        open_ingress(kafka_url, s3_url, s3_seen_by_ingress=proxy.url) as ingress,
    ):
        proxy.faults = S3Faults(slow_down_share=0.3)
        began = monotonic()

        async def sender() -> None:
            while len(statuses) < FEWEST or monotonic() - began < row["seconds"]:
                statuses.append((await ingress.upload(b"x" * SMALL)).status)

        await asyncio.gather(*(sender() for _ in range(16)))
        count, succeeded = len(statuses), statuses.count(202)
        amplification = proxy.requests["PUT"] / count
        row.record(
            uploads=count, accepted=succeeded, refused_puts=proxy.refused, puts_an_upload=amplification
        )
        assert set(statuses) <= {202, 503}
        assert succeeded >= 0.999 * count - 1
        # The mean is 1/0.7; among few chance adds a little.
        assert amplification <= (1.5 if row.full else 1.55)
        assert len(await ingress.records.all(ingress.announce_topic)) == succeeded


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    "faults",
    [
        S3Faults(hang=True),
        S3Faults(reset_at_share=0.5),
        S3Faults(lie="etag"),
        S3Faults(lie="checksum"),
        S3Faults(lie="nothing confirmed"),
        S3Faults(slow_down_share=1.0),
    ],
    ids=["hangs", "resets at half", "wrong ETag", "wrong checksum", "confirms nothing", "throttles all"],
)
@pytest.mark.row(5)
async def test_bytes_that_the_store_did_not_confirm_are_never_announced(
    kafka_url: str, s3_url: str, faults: S3Faults, size: int, monkeypatch
):
    monkeypatch.setattr(ingress_store, "RETRY", RetryPolicy(3, 0.3, 0.02, 0.1))
    monkeypatch.setattr("headrace.objects.store._CONTROL_SECONDS", 1.0)
    monkeypatch.setattr("headrace_services.ingress.handlers._ABORT_SECONDS", 1.0)
    async with behind_proxy(kafka_url, s3_url) as (ingress, proxy):
        proxy.faults = faults
        request_id, machine, began = new_id(), Calibration(), monotonic()
        answer = await ingress.upload(b"x" * size, request_id)
        seconds = monotonic() - began
        print(f"503 after {seconds:.1f} s")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        # The size adds to the budget, and to the deadline of each request, a second for every MiB.
        assert seconds < machine.wall(WITHIN_SECONDS + 2 * size / (1 << 20) + 2)
        assert not await ingress.announced(request_id)
        assert (await ingress.statuses(request_id))[-1]["status"] == "error"
        proxy.faults = S3Faults()
        if faults.lie != "etag" or size == SMALL:
            assert await eventually(lambda: _clean(ingress, request_id))
        assert (await ingress.upload(b"x" * size, request_id)).status == 202


async def _clean(ingress: Ingress, request_id: str) -> bool:
    # An upload that could not be aborted, the store being away, is the sweep's.
    return not await ingress.objects(request_id)


@pytest.mark.parametrize("operation", ["PUT", "PUT part", "complete", "start"])
@pytest.mark.row(5)
async def test_an_answer_that_was_lost_makes_no_second_object(kafka_url: str, s3_url: str, operation: str):
    size = SMALL if operation == "PUT" else LARGE
    async with behind_proxy(kafka_url, s3_url) as (ingress, proxy):
        request_id = new_id()
        proxy.faults.lose_answers_to.add(operation)
        first = await ingress.upload(b"x" * size, request_id)
        assert not proxy.faults.lose_answers_to
        again = await ingress.upload(b"x" * size, request_id)
        assert first.status in {202, 503}
        assert again.status == 202
        print(f"lost answer to {operation}: first {first.status}")
        assert await ingress.objects(request_id) == [request_id]


@pytest.mark.row(5)
async def test_a_store_that_comes_back_is_used_at_once(kafka_url: str, s3_url: str):
    async with behind_proxy(kafka_url, s3_url) as (ingress, proxy):
        proxy.faults = S3Faults(hang=True)
        assert (await ingress.upload(b"x")).status == 503
        proxy.faults = S3Faults()
        assert (await ingress.upload(b"x")).status == 202
