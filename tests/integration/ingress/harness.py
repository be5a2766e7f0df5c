"""A running ingress with topics and a bucket of its own, and a sender that hides nothing."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiokafka.structs import ConsumerRecord

from headrace.bus.admin import ensure_topics
from headrace.contracts.announcement import Announcement
from headrace.contracts.topics import Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import PART_BYTES, ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from tests import answers, identities
from tests.records import Records, open_records
from tests.service import Running, open_client, own, running, url_of
from tests.serving import serving

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
    return identities.stated(**({"account_number": "0000001", "org_id": "000001", "type": "User"} | changes))


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


class Answer(answers.Answer):
    @property
    def request_id(self) -> str:
        return self.headers["X-Rh-Insights-Request-Id"]


@dataclass
class Ingress(Running[Answer]):
    answer = Answer
    unsent = ("User-Agent", "Content-Type")

    host: Host
    store: ObjectStore
    bucket: str
    records: Records
    announce_topic: str
    sources_topic: str
    status_topic: str

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
        return await self.send_request(method, path, body=data, headers=sent)

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
    )
    seen = EngineSettings(kafka=kafka_seen_by_test or kafka, s3=s3)
    await ensure_topics(seen, [Topic(name, Announcement) for name in topics], with_dead_letters=False)
    store = await ObjectStore.open(S3Endpoint.of(seen))
    engines = EngineSettings(kafka=kafka, s3=s3_seen_by_ingress or s3)
    named = {f"INGRESS_{name}": text for name, text in (variables | environment).items()}
    try:
        await store.ensure_bucket(bucket)
        async with (
            running(
                [own("ingress")], engines, environment=named, lenient=lenient, stop_seconds=stop_seconds
            ) as host,
            open_records(seen.kafka, *topics) as records,
            open_client(limit=0) as session,
        ):
            yield Ingress(url_of(host), session, host, store, bucket, records, *topics)
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
    async with serving(app) as url:
        yield url.removeprefix("http://")
