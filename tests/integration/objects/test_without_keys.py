"""What an S3 server of the local shape gives to, and takes from, whoever has not its secret key."""

import asyncio
import base64
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
from yarl import URL

from headrace.local import install
from headrace.local.minio import MinIO
from headrace.local.ports import EnginePorts
from headrace.local.s3 import S3Engine
from headrace.local.seaweedfs import SeaweedFS
from headrace.local.supervisor import RestartBudget, Supervisor
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.signing import Signer
from headrace.objects.store import ObjectStore
from tests.engines import s3_servers

CRC = base64.b64encode(struct.pack(">I", zlib.crc32(b"evil")))
TRAILER = b"4\r\nevil\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % CRC
STREAMING = {
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": "4",
    "x-amz-trailer": "x-amz-checksum-crc32",
}
UNSIGNED_TRAILER = STREAMING | {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
BUCKET, KEY = "private", "secret.txt"


class Server:
    """One that runs, and requests to it by somebody who has no secret key."""

    def __init__(self, engine: S3Engine, session: aiohttp.ClientSession, pid: int) -> None:
        self.engine, self.session, self.pid = engine, session, pid
        self.access_key = engine.credentials["access_key"]
        self.host = urlsplit(engine.address).netloc
        self.store: ObjectStore

    async def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, bytes]:
        url = URL(f"{self.engine.address}{path}{'?' + query if query else ''}", encoded=True)
        async with self.session.request(method, url, headers=headers, data=body or None) as answer:
            return answer.status, await answer.read()

    def signer(self, secret: str) -> Signer:
        return Signer(S3Endpoint(self.engine.address, access_key=self.access_key, secret_key=secret))

    def scope(self) -> str:
        return f"{self.access_key}%2F{datetime.now(UTC):%Y%m%d}%2Fus-east-1%2Fs3%2Faws4_request"

    def query(self, signature: str) -> str:
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={self.scope()}&X-Amz-Date={now}"
            f"&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        )


async def engine_of(server: str, directory: Path) -> S3Engine:
    ports = EnginePorts.random()
    if server == "minio":
        return MinIO(directory, ports, await install.minio(print))
    return SeaweedFS(directory, ports, install.seaweedfs())


@pytest.fixture(params=[name for name in s3_servers() if name != "given"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """As `headrace up` starts it, with one object in it."""
    engine = await engine_of(request.param, tmp_path / "data")
    supervisor = Supervisor(engine, logs=tmp_path, progress=print, budget=RestartBudget(restarts=0))
    try:
        await supervisor.start()
        automatic = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
        async with aiohttp.ClientSession(skip_auto_headers=automatic) as session:
            found = Server(engine, session, supervisor.status().pid or 0)
            found.store = await ObjectStore.open(S3Endpoint.parse(engine.url))
            try:
                await found.store.ensure_bucket(BUCKET)
                await found.store.put(BUCKET, KEY, b"tenants' data", content_type="text/plain", metadata={})
                yield found
            finally:
                await found.store.close()
    finally:
        await supervisor.stop()


async def keys(server: Server) -> list[str]:
    return [item.key async for item in server.store.list(BUCKET)]


async def test_nobody_writes_with_the_access_key_alone(server: Server):
    """The access key stands in every presigned URL, so it must open nothing by itself."""
    header = {
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={server.scope().replace('%2F', '/')},"
            f" SignedHeaders=host, Signature={'0' * 64}"
        ),
        "x-amz-date": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
    }
    twice = [*UNSIGNED_TRAILER.items(), ("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")]
    signed_trailer = STREAMING | {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}
    attempts = {
        "credential in the query, no signature": (f"X-Amz-Credential={server.scope()}", UNSIGNED_TRAILER),
        "wrong signature in the query": (server.query("0" * 64), UNSIGNED_TRAILER),
        "wrong signature in the header": ("", UNSIGNED_TRAILER | header),
        "nothing at all": ("", UNSIGNED_TRAILER),
        "the header twice": (f"X-Amz-Credential={server.scope()}", dict(twice)),
        "signed trailer, wrong signature": (server.query("0" * 64), signed_trailer),
        "old signature": ("", {"authorization": f"AWS {server.access_key}:AAAA"}),
        "old signature in the query": (
            f"AWSAccessKeyId={server.access_key}&Signature=AAAA&Expires=9999999999",
            {},
        ),
        "plain, wrong signature in the query": (server.query("0" * 64), {}),
    }
    answers = {
        name: (await server.ask("PUT", f"/{BUCKET}/{number}", query, headers, TRAILER))[0]
        for number, (name, (query, headers)) in enumerate(attempts.items())
    }
    for method in ("PUT", "POST", "DELETE"):
        answers[f"{method}, wrong key"] = (
            await server.ask(method, f"/{BUCKET}/{KEY}", "", _signed(server, method, f"/{BUCKET}/{KEY}"))
        )[0]
    multipart = f"partNumber=1&uploadId=x&X-Amz-Credential={server.scope()}"
    answers["a part"] = (await server.ask("PUT", f"/{BUCKET}/part", multipart, UNSIGNED_TRAILER, TRAILER))[0]
    taken = {name: status for name, status in answers.items() if status < 400 or status >= 500}
    assert (taken, await keys(server)) == ({}, [KEY])


async def test_nobody_reads_or_lists_without_the_secret_key(server: Server):
    object_path = f"/{BUCKET}/{KEY}"
    then = datetime.now(UTC) - timedelta(hours=1)
    right = server.signer(server.engine.credentials["secret_key"])
    expired = urlsplit(right.url(server.engine.address, object_path, 60, then)).query
    fresh = urlsplit(right.url(server.engine.address, object_path, 60, datetime.now(UTC))).query
    assert (await server.ask("GET", object_path, fresh))[0] == 200
    attempts: dict[str, tuple[str, str, Mapping[str, str]]] = {
        "buckets": ("/", "", {}),
        "objects": (f"/{BUCKET}", "list-type=2", {}),
        "objects, wrong key": (f"/{BUCKET}/", "", _signed(server, "GET", f"/{BUCKET}/")),
        "object": (object_path, "", {}),
        "object, wrong key": (object_path, "", _signed(server, "GET", object_path)),
        "object, wrong signature": (object_path, server.query("0" * 64), {}),
        "object, expired": (object_path, expired, {}),
        "object, other object's URL": (f"/{BUCKET}/other", fresh, {}),
        "policy": (f"/{BUCKET}", "policy", {}),
        "metrics": ("/metrics", "", {}),
        "MinIO's metrics": ("/minio/v2/metrics/cluster", "", {}),
        "MinIO's admin": ("/minio/admin/v3/info", "", {}),
    }
    for method in ("GET", "HEAD"):
        answers = {
            name: (await server.ask(method, path, query, headers))[0]
            for name, (path, query, headers) in attempts.items()
        }
        assert {name: status for name, status in answers.items() if status < 400} == {}, method


async def test_no_port_leaves_loopback_and_the_inner_ones_give_no_objects(server: Server):
    process = psutil.Process(server.pid)
    listening = {
        (address.laddr.ip, address.laddr.port)
        for part in (process, *process.children(recursive=True))
        for address in part.net_connections("tcp")
        if address.status == psutil.CONN_LISTEN
    }
    assert {port for _, port in listening} <= set(server.engine.listens_on().values())
    assert {ip for ip, _ in listening} <= {"127.0.0.1", "::1"}
    for port in {port for _, port in listening} - {urlsplit(server.engine.address).port}:
        for path in (f"/{BUCKET}/{KEY}", f"/buckets/{BUCKET}/{KEY}", f"/buckets/{BUCKET}/?pretty=y"):
            try:
                async with server.session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    body = await answer.read()
                    assert answer.status >= 400 or b"secret" not in body, (port, path, body)
                    assert b"tenants" not in body, (port, path)
            except aiohttp.ClientError:
                continue  # it speaks no HTTP/1


async def test_nobody_gives_himself_a_key(server: Server):
    """SeaweedFS' S3 part takes new identities over gRPC from whoever reaches that port, unless it is told not to."""
    for action in ("CreateUser&UserName=evil", "CreateAccessKey&UserName=evil", "ListUsers"):
        status, _ = await server.ask(
            "POST",
            "/",
            "",
            {"content-type": "application/x-www-form-urlencoded"},
            f"Action={action}".encode(),
        )
        assert status >= 400, action
    if not isinstance(server.engine, SeaweedFS):
        return
    message = _field(
        1,
        _field(1, b"evil")
        + _field(2, _field(1, b"evilkey") + _field(2, b"evilsecret"))
        + _field(3, b"Admin"),
    )
    port = server.engine.listens_on()["SeaweedFS' s3.grpc"]
    said = await grpc(port, "messaging_pb.SeaweedS3IamCache/PutIdentity", message)
    assert "grpc-status: 16" in said, said
    evil = await ObjectStore.open(
        S3Endpoint(server.engine.address, access_key="evilkey", secret_key="evilsecret")
    )
    try:
        with pytest.raises(Exception, match="403"):
            await evil.put(BUCKET, "evil", b"x", content_type="text/plain", metadata={})
    finally:
        await evil.close()


async def test_the_documents_health_path_answers(server: Server):
    assert (await server.ask("GET", "/minio/health/live"))[0] == 200


async def test_keys_and_bodies_pass_the_guard_unchanged(server: Server):
    """Odd keys are signed as they are written; a door that rewrites them breaks the signature."""
    for key in ("a b/+c%41", "é/..b", "dot./x", "q?&=#"):
        await server.store.put(
            BUCKET, key, b"x" * 3_000_000, content_type="application/gzip", metadata={"org": "1"}
        )
        async with server.store.get(BUCKET, key) as pieces:
            assert sum([len(piece) async for piece in pieces]) == 3_000_000
    assert await server.store.head(BUCKET, "nothing") is None


async def test_the_bare_server_does_take_the_write_that_the_guard_refuses(
    tmp_path: Path, fresh: Callable[[str], str]
):
    """What the guard is for: without it MinIO says 200. When this fails, MinIO was mended and the guard can go."""
    if "minio" not in s3_servers():
        pytest.skip("only another S3 server is tested")
    engine = await engine_of("minio", tmp_path / "data")
    supervisor = Supervisor(engine, logs=tmp_path, progress=print, budget=RestartBudget(restarts=0))
    await supervisor.start()
    try:
        async with aiohttp.ClientSession() as session:
            server = Server(engine, session, 0)
            store = await ObjectStore.open(S3Endpoint.parse(engine.url))
            await store.ensure_bucket(BUCKET)
            query = f"X-Amz-Credential={server.scope()}"
            inner = f"http://127.0.0.1:{engine.listens_on()['MinIO itself']}"
            url = URL(f"{inner}/{BUCKET}/evil?{query}", encoded=True)
            async with session.put(url, data=TRAILER, headers=UNSIGNED_TRAILER) as answer:
                assert answer.status == 200, await answer.text()
            assert [item.key async for item in store.list(BUCKET)] == ["evil"]
            await store.close()
    finally:
        await supervisor.stop()


def _signed(server: Server, method: str, path: str) -> dict[str, str]:
    return server.signer("not-the-secret").headers(method, server.host, path, "", {}, datetime.now(UTC))


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2, len(value))) + value


async def grpc(port: int, method: str, message: bytes) -> str:
    """The answer's headers and trailers; curl speaks HTTP/2."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-m", "10", "-D", "-", "-o", "/dev/null", "--http2-prior-knowledge"),
        *("-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-"),
        f"http://127.0.0.1:{port}/{method}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(b"\0" + struct.pack(">I", len(message)) + message)
    return said.decode()
