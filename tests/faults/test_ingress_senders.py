"""Senders that lie, trickle, flood or go away: each gets its answer, nothing is announced, nothing is left in S3."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import psutil
import pytest
import pytest_asyncio

from headrace.objects.store import PART_BYTES
from headrace.runtime.metrics import REGISTRY
from tests.calibration import Calibration
from tests.integration.ingress.harness import (
    BOUNDARY,
    FORM,
    UPLOAD,
    Answer,
    Ingress,
    chunk,
    form,
    hang_up,
    new_id,
    open_ingress,
    part,
    read_answer,
    request_head,
    value,
)
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL, LARGE = 300_000, 2 * PART_BYTES
LIMIT = 40_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingress(kafka_url: str, s3_url: str) -> AsyncIterator[Ingress]:
    async with open_ingress(
        kafka_url, s3_url, DEFAULTMAXSIZE=str(LIMIT), MAXSIZEMAP="{}", MINRATESECONDS="1", BODYSECONDS="5"
    ) as opened:
        yield opened


async def clean(ingress: Ingress, request_id: str) -> bool:
    return await ingress.left_nothing(request_id)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.row(7)
async def test_a_sender_that_goes_away_leaves_nothing(
    ingress: Ingress, share: float, size: int, chunked: bool
):
    request_id, body = new_id(), form(part(b"x" * size))
    sent = body[: int(len(body) * share)]
    head = request_head(
        request_id, "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    )
    _, writer = await asyncio.open_connection(*ingress.address)
    writer.write(head + (chunk(sent) if chunked else sent))
    await writer.drain()
    if size == LARGE and chunked and share > 0.6:
        await eventually(lambda: _begun(ingress, request_id), describe="a multipart upload is begun")
    await hang_up(writer)
    in_flight = ingress.host.contexts[0].listeners[0]._in_flight
    await eventually(lambda: not in_flight._count)
    await eventually(lambda: clean(ingress, request_id))


async def _begun(ingress: Ingress, request_id: str) -> bool:
    return request_id in await ingress.unfinished()


@pytest.mark.row(7)
async def test_a_sender_that_goes_away_before_its_answer_may_ask_again(ingress: Ingress):
    request_id, body = new_id(), form(part(b"x" * SMALL))
    _, writer = await asyncio.open_connection(*ingress.address)
    writer.write(request_head(request_id, f"Content-Length: {len(body)}") + body)
    await writer.drain()
    await eventually(lambda: ingress.objects(request_id), every_seconds=0.005)
    await hang_up(writer)
    await eventually(lambda: ingress.announced(request_id))
    assert (await ingress.upload(b"x" * SMALL, request_id)).status == 202
    assert await ingress.objects(request_id) == [request_id]


@pytest.mark.row(8)
async def test_a_length_that_says_more_than_comes_is_dropped_in_time(ingress: Ingress):
    request_id, body = new_id(), form(part(b"x" * 1000))
    machine, began = Calibration(), monotonic()
    answer = await ingress.raw(request_head(request_id, f"Content-Length: {len(body) + 9}"), body)
    lasted = monotonic() - began
    assert answer.status == 408
    assert lasted < machine.wall(15)
    assert await clean(ingress, request_id)


@pytest.mark.parametrize("missing", [10, 500])
@pytest.mark.row(8)
async def test_a_length_that_says_less_than_comes_cuts_the_body(ingress: Ingress, missing: int):
    request_id, body = new_id(), form(part(b"x" * 1000))
    answer = await ingress.raw(request_head(request_id, f"Content-Length: {len(body) - missing}"), body)
    assert answer.status == 400
    assert await clean(ingress, request_id)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -1"],
        ["Content-Length: x"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: nonsense"],
        [f"X-Long: {'y' * 65536}"],
        ["x" * 65536],
        *[[f"X-{n}: {'y' * 8000}" for n in range(200)]],
    ],
    ids=range(8),
)
@pytest.mark.row(8)
async def test_heads_that_make_no_sense_are_refused(ingress: Ingress, lines: list[str]):
    request_id = new_id()
    answer = await ingress.raw(request_head(request_id, *lines), form(part(b"x")))
    assert 400 <= answer.status < 500
    assert await clean(ingress, request_id)


async def flood(ingress: Ingress, head: bytes, piece: bytes) -> tuple[Answer | None, int]:
    """Send a piece over and over, until the answer or the end of the connection comes; bytes sent."""
    reader, writer = await asyncio.open_connection(*ingress.address)
    sent = 0
    writer.write(head)
    answering = asyncio.create_task(read_answer(reader))
    try:
        async with asyncio.timeout(120):
            while not answering.done():
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return await answering, sent
    except (ConnectionError, asyncio.IncompleteReadError):
        return (answering.result() if answering.done() and not answering.exception() else None), sent
    finally:
        answering.cancel()
        await hang_up(writer)


START = part(b"")[:-2]


@pytest.mark.parametrize(
    ("first", "piece", "status"),
    [
        (START, b"x" * 65536, 413),
        (b"", b"x" * 65536, 400),
        (form(part(b"abc")), b"x" * 65536, 400),
        (value("other", "")[:-2], b"x" * 65536, 400),
        (value("metadata", "")[:-2], b"x" * 65536, 400),
        (f"--{BOUNDARY}\r\nX: ".encode(), b"x" * 65536, 400),
        (b"", value("n", "v") * 100, 400),
        (f"--{BOUNDARY}\r\n".encode(), b"X: y\r\n" * 1000, 400),
    ],
    ids=["file", "preamble", "epilogue", "value", "metadata", "header line", "parts", "header lines"],
)
@pytest.mark.row(8)
async def test_an_endless_body_ends_at_its_bound(ingress: Ingress, first: bytes, piece: bytes, status: int):
    request_id = new_id()
    head = request_head(request_id, "Transfer-Encoding: chunked")
    answer, sent = await flood(ingress, head + (chunk(first) if first else b""), chunk(piece))
    if answer is not None:
        assert answer.status == status
    assert sent < 1 << 30
    await eventually(lambda: clean(ingress, request_id))


@pytest.mark.row(8)
async def test_ten_thousand_parts_are_refused(ingress: Ingress):
    request_id = new_id()
    answer = await ingress.request(
        "POST", UPLOAD, data=form(*[value("n", "v")] * 10_000, part(b"x")),
        headers={"Content-Type": FORM, "x-rh-insights-request-id": request_id},
    )  # fmt: skip
    assert answer.status == 400
    assert await clean(ingress, request_id)


@pytest.mark.parametrize("what", ["heads", "bodies"])
@pytest.mark.row(6)
async def test_hundreds_of_trickling_connections_are_dropped_and_others_do_not_notice(
    kafka_url: str, s3_url: str, monkeypatch, what: str, row
):
    monkeypatch.setattr("headrace.web.listener.KEEPALIVE_SECONDS", 2.0)
    count = row["connections"]
    async with open_ingress(kafka_url, s3_url, MINRATESECONDS="2", BODYSECONDS="5") as ingress:
        await latencies(ingress, 20, 90)
        before = await latencies(ingress, row["honest_uploads"], row["percentile"])
        process = psutil.Process()
        rss = process.memory_info().rss
        head = request_head(new_id(), "Content-Length: 100000")
        ends = [await asyncio.open_connection(*ingress.address) for _ in range(count)]
        trickling = [
            asyncio.create_task(trickle(reader, writer, head if what == "heads" else head + START, what))
            for reader, writer in ends
        ]
        machine = Calibration()
        during = await latencies(ingress, row["honest_uploads"], row["percentile"])
        grown = process.memory_info().rss - rss
        lasted = await asyncio.gather(*trickling)
        row.record(
            slow=f"{count} {what}",
            honest_seconds=during,
            honest_before_seconds=before,
            rss_grown_mib=grown / 2**20,
            last_dropped_after_seconds=max(lasted),
        )
        assert max(lasted) < machine.wall(9)
        assert grown < 50 << 20
        # Beside other tests a few wait for whatever else the machine does.
        assert during < (2 * before if row.full else max(5 * before, machine.wall(0.25)))
        assert not [
            record
            for record in await ingress.records.all(ingress.announce_topic)
            if b'"size":0' in record.value
        ]


async def latencies(ingress: Ingress, count: int, percentile: int) -> float:
    """A percentile of honest uploads, one after the other."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        assert (await ingress.upload(b"x" * 1000)).status == 202
        found.append(time.perf_counter() - began)
    return sorted(found)[count * percentile // 100]


async def trickle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, what: str
) -> float:
    """A byte a second (of a head from its start, of a body after it) until the connection ends; how long it lasted."""
    began = monotonic()
    at = 0
    if what == "bodies":
        writer.write(data)
        data = b"x" * 1000
    ended = asyncio.create_task(reader.read())
    try:
        while not ended.done() and monotonic() - began < 90:
            with_next = data[at : at + 1]
            at += 1
            writer.write(with_next)
            await asyncio.wait([ended], timeout=1 + random.random() / 10)
        ended.exception()
        return monotonic() - began
    except ConnectionError:
        return monotonic() - began
    finally:
        ended.cancel()
        await hang_up(writer)


@pytest.mark.row(10)
async def test_more_large_uploads_than_fit_get_429_and_memory_stays(kafka_url: str, s3_url: str):
    variables: dict[str, Any] = {
        "MAXCONCURRENTUPLOADS": "2",
        "BUFFERBYTES": str(10 << 20),
        "QUEUESECONDS": "0.5",
    }
    async with open_ingress(kafka_url, s3_url, **variables) as ingress:
        # Two senders hold the places: they have sent most and do not go on.
        holders = [await asyncio.open_connection(*ingress.address) for _ in range(2)]
        for _, writer in holders:
            writer.write(request_head(new_id(), "Content-Length: 400000") + START + b"x" * 200_000)
        in_flight = ingress.host.contexts[0].listeners[0]._in_flight
        await eventually(lambda: REGISTRY.get_sample_value("ingress_uploads_in_flight") == 2)
        rss = psutil.Process().memory_info().rss
        ids = [new_id() for _ in range(20)]
        answers = await asyncio.gather(*(ingress.upload(b"x" * (3 << 20), request_id) for request_id in ids))
        grown = psutil.Process().memory_info().rss - rss
        print(f"20 x 3 MiB beyond the budget: RSS +{grown / 1e6:.1f} MB, the senders' copies included")
        assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(429, "5")}
        assert grown < 300 << 20
        for request_id in ids:
            assert await clean(ingress, request_id)
        for _, writer in holders:
            await hang_up(writer)
        await eventually(lambda: not in_flight._count)
        assert (await ingress.upload(b"x" * (3 << 20))).status == 202
