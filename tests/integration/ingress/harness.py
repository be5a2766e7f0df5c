"""A running ingress with topics and a bucket of its own, and a sender that hides nothing."""

import asyncio
import base64
import io
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from yarl import URL

from headrace.bus.admin import ensure_topics
from headrace.contracts.announcement import Announcement
from headrace.contracts.topics import Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import PART_BYTES, ObjectStore
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.host import Host
from headrace.service.process import running
from headrace_services.registry import BY_NAME
from tests.reading import reader

PREFIXES = ("/api/ingress/v1", "/r/insights/platform/ingress/v1")
UPLOAD = f"{PREFIXES[0]}/upload"
OLS = "application/vnd.redhat.ols.periodic+tar"
BOUNDARY = "bOuNdArY"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
ID_HEADER = "x-rh-insights-request-id"
CLUSTER_ID = "11111111-2222-3333-4444-555555555555"
OPERATOR = f"insights-operator/one10time200gather184a34f6a168926d93c330 cluster/{CLUSTER_ID}"


def b64_identity(**changes: Any) -> str:
    """The header's value; a change to None leaves the field out."""
    identity = {"account_number": "0000001", "org_id": "000001", "type": "User"} | changes
    body = {"identity": {name: value for name, value in identity.items() if value is not None}}
    return base64.b64encode(json.dumps(body).encode()).decode()


IDENTITY = b64_identity()


def part(
    data: bytes, *, name: str = "file", filename: str | None = "a.tgz", content_type: str | None = OLS
) -> bytes:
    """One part, delimiter in front."""
    disposition = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n"
    if content_type is not None:
        head += f"Content-Type: {content_type}\r\n"
    return head.encode() + b"\r\n" + data + b"\r\n"


def value(name: str, text: str) -> bytes:
    """A plain value."""
    return part(text.encode(), name=name, filename=None, content_type=None)


def form(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["X-Rh-Insights-Request-Id"]


@dataclass
class Records:
    """Everything that comes on the topics, read up to their present ends on demand."""

    consumer: AIOKafkaConsumer
    partitions: list[TopicPartition]
    seen: list[ConsumerRecord] = field(default_factory=list)

    async def all(self, topic: str) -> list[ConsumerRecord]:
        ends = await self.consumer.end_offsets(self.partitions)
        async with asyncio.timeout(90):
            while any([await self.consumer.position(at) < ends[at] for at in self.partitions]):
                for records in (await self.consumer.getmany(timeout_ms=100)).values():
                    self.seen += records
        return [record for record in self.seen if record.topic == topic]


@dataclass
class Ingress:
    url: str
    host: Host
    store: ObjectStore
    bucket: str
    records: Records
    announce_topic: str
    sources_topic: str
    status_topic: str
    session: aiohttp.ClientSession

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    async def request(
        self, method: str, path: str, *, data: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Identity included unless `headers` names it; an empty value leaves a header out."""
        sent = {"x-rh-identity": IDENTITY} | (headers or {})
        sent = {name: value for name, value in sent.items() if value}
        async with self.session.request(
            method,
            URL(self.url + path, encoded=True),
            # The client warns of large bytes, though not of the same in a file.
            data=io.BytesIO(data) if isinstance(data, bytes) else data,
            headers=sent,
            skip_auto_headers=["User-Agent", "Content-Type"],
            allow_redirects=False,
        ) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.request("GET", path, headers=headers)

    async def post(self, *parts: bytes, path: str = UPLOAD, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.request("POST", path, data=form(*parts), headers={"Content-Type": FORM} | named)

    async def upload(self, data: bytes, request_id: str = "", **part_terms: Any) -> Answer:
        """The common case: one file part; a large one comes in chunks, so that it is stored in parts."""
        body = form(part(data, **part_terms))
        return await self.request(
            "POST",
            UPLOAD,
            data=pieces(body) if len(data) > PART_BYTES else body,
            headers={"Content-Type": FORM, ID_HEADER: request_id},
        )

    async def raw(self, *pieces: bytes, half_close: bool = False) -> Answer:
        """Send bytes as they are on a connection of their own; the answer to the first request in them."""
        async with asyncio.timeout(90):
            reader, writer = await asyncio.open_connection(*self.address)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                if half_close:
                    writer.write_eof()
                return await read_answer(reader)
            finally:
                await hang_up(writer)

    async def announced(self, request_id: str) -> list[ConsumerRecord]:
        """Announcements of an id."""
        return [
            record
            for record in await self.records.all(self.announce_topic)
            if json.loads(record.value)["request_id"] == request_id
        ]

    async def announcement(self, request_id: str) -> dict[str, Any]:
        """The one announcement of an id."""
        (record,) = await self.announced(request_id)
        found: dict[str, Any] = json.loads(record.value)
        return found

    async def statuses(self, request_id: str) -> list[dict[str, Any]]:
        found = [json.loads(record.value) for record in await self.records.all(self.status_topic)]
        return [status for status in found if status["request_id"] == request_id]

    async def objects(self, prefix: str = "") -> list[str]:
        return [item.key async for item in self.store.list(self.bucket, prefix)]

    async def unfinished(self) -> list[str]:
        return [key for key, _, _ in await self.store.unfinished_multiparts(self.bucket)]

    async def left_nothing(self, request_id: str) -> bool:
        """Whether an id left no trace: nothing announced, stored or begun."""
        traces = [*await self.announced(request_id), *await self.objects(request_id)]
        return not traces and not [key for key in await self.unfinished() if key.startswith(request_id)]


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """End a connection at once, whatever is under way on it."""
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    length = int(headers.get("Content-Length", "0"))
    return Answer(int(head[0].split(" ")[1]), headers, await reader.readexactly(length))


def request_head(
    request_id: str,
    *lines: str,
    method: str = "POST",
    path: str = UPLOAD,
    content_type: str = FORM,
    identity: str | None = IDENTITY,
) -> bytes:
    """The head of a request for `Ingress.raw`."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: ingress",
        *([] if identity is None else [f"x-rh-identity: {identity}"]),
        f"{ID_HEADER}: {request_id}",
        f"Content-Type: {content_type}",
        *lines,
    ]
    return "\r\n".join(head).encode("latin-1", "surrogateescape") + b"\r\n\r\n"


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """Makes the client send chunks, without a length."""
    for at in range(0, len(body), 65_000):
        yield body[at : at + 65_000]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def new_id() -> str:
    return uuid.uuid4().hex


@asynccontextmanager
async def open_records(settings: EngineSettings, topics: tuple[str, ...]) -> AsyncIterator[Records]:
    consumer = reader(settings.kafka)
    partitions = [TopicPartition(topic, n) for topic in topics for n in range(3)]
    await consumer.start()
    try:
        consumer.assign(partitions)
        # A topic that tests share may hold a whole session's messages.
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, end)
        yield Records(consumer, partitions)
    finally:
        await consumer.stop()


@asynccontextmanager
async def open_ingress(
    kafka: str,
    s3: str,
    *,
    s3_seen_by_ingress: str = "",
    kafka_seen_by_test: str = "",
    lenient: bool = False,
    stop_seconds: float = 10.0,
    **environment: str,
) -> AsyncIterator[Ingress]:
    """Ingress in this process; `environment` are its variables, without `INGRESS_` in front."""
    run = uuid.uuid4().hex[:12]
    topics = tuple(f"{kind}-{run}" for kind in ("announce", "sources", "status"))
    bucket = f"uploads-{run}"
    variables = dict(
        zip(("KAFKAANNOUNCETOPIC", "KAFKASOURCESTOPIC", "KAFKATRACKERTOPIC"), topics, strict=True),
        STAGEBUCKET=bucket,
        WEBPORT="0",
    )
    seen = EngineSettings(kafka=kafka_seen_by_test or kafka, s3=s3)
    await ensure_topics(seen, [Topic(name, Announcement) for name in topics], with_dead_letters=False)
    store = await ObjectStore.open(S3Endpoint.of(seen))
    engines = EngineSettings(kafka=kafka, s3=s3_seen_by_ingress or s3)
    process = ProcessSettings(admin_port=0, lenient=lenient, stop_seconds=stop_seconds)
    try:
        await store.ensure_bucket(bucket)
        async with AsyncExitStack() as opened:
            # Variables are read at start: one that stayed set would be another, concurrently open ingress' too.
            with pytest.MonkeyPatch.context() as patch:
                for name, text in (variables | environment).items():
                    patch.setenv(f"INGRESS_{name}", text)
                host = await opened.enter_async_context(running([BY_NAME["ingress"]], engines, process))
            records = await opened.enter_async_context(open_records(seen, topics))
            session = await opened.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            )
            url = f"http://127.0.0.1:{host.contexts[0].listeners[0].port}"
            yield Ingress(url, host, store, bucket, records, *topics, session)
    finally:
        await store.close()


@asynccontextmanager
async def serving_tracker(answers: dict[str, tuple[int, bytes]]) -> AsyncIterator[str]:
    """What the payload tracker answers, byte for byte, by id (or `any`); the tracker itself is tested elsewhere."""

    async def payload(request: web.Request) -> web.Response:
        status, body = answers.get(request.match_info["request_id"]) or answers.get(
            "any", (404, b'{"title":"Not Found","status":404}')
        )
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/v1/payloads/{request_id}", payload)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
