from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from headrace.contracts.identity import Associate, Identity, encode_identity
from headrace.web.listener import Listener
from headrace_services.archiver.api import Api
from headrace_services.archiver.settings import ArchiverSettings
from tests.integration.archiver.conftest import KEY, Bench

Get = Callable[..., Awaitable[tuple[int, Any]]]

OWNER = encode_identity(Identity(org_id="000001", type="User"))
STRANGER = encode_identity(Identity(org_id="000002", type="User"))
ASSOCIATE = encode_identity(Identity(type="Associate", associate=Associate(Role=["some-role"])))
DOWNLOADER = encode_identity(
    Identity(type="Associate", associate=Associate(Role=["platform-archive-download"]))
)


@pytest.fixture(params=[True])
async def get(request: pytest.FixtureRequest, bench: Bench) -> AsyncIterator[Get]:
    api = Api(bench.table, {"": bench.store}, ArchiverSettings(auth=request.param))
    listener = await Listener.open(api.application(), "127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.port}") as session:

        async def ask(path: str, identity: str = "", **query: str) -> tuple[int, Any]:
            headers = {"x-rh-identity": identity} if identity else {}
            async with session.get(path, params=query, headers=headers) as response:
                return response.status, await response.json()

        yield ask
    await listener.close()


async def test_an_organisation_finds_its_archive_and_no_other_does(bench: Bench, get: Get) -> None:
    await bench.handle(await bench.upload("vm/r-1", b"payload"))
    path = "/api/archives/v1/archives"
    for identity in (OWNER, ASSOCIATE):
        status, body = await get(path, identity, request_id="vm/r-1")
        assert (status, body["count"]) == (200, 1)
        archive = body["data"][0]
        assert (archive["bucket"], archive["key"], archive["service"]) == (bench.bucket, KEY, "ols")
        assert archive["copied_at"].endswith("Z")
    assert await get(path, STRANGER, request_id="vm/r-1") == (200, {"count": 0, "data": []})
    assert (await get(path, request_id="vm/r-1"))[0] == 401
    assert (await get(path, OWNER))[0] == 400


async def test_storage_brokers_question_is_answered_for_the_owner_and_the_role(
    bench: Bench, get: Get
) -> None:
    await bench.handle(await bench.upload("r1", b"payload"))
    for identity in (OWNER, DOWNLOADER):
        status, body = await get("/archive/url/", identity, request_id="r1")
        assert (status, body["request_id"], body["timeout"]) == (200, "r1", 30)
        async with aiohttp.ClientSession() as session, session.get(body["url"]) as response:
            assert await response.read() == b"payload"
    for identity in (STRANGER, ASSOCIATE):
        assert await get("/archive/url", identity, request_id="r1") == (
            400, {"message": "there is no archive for request id 'r1'"}
        )  # fmt: skip
    assert (await get("/archive/url", OWNER, request_id="r2"))[0] == 400
    assert (await get("/archive/url", request_id="r1"))[0] == 401


@pytest.mark.parametrize("get", [False], indirect=True)
async def test_without_authentication_anyone_is_answered_as_storage_broker_answers(
    bench: Bench, get: Get
) -> None:
    await bench.handle(await bench.upload("r1"))
    assert (await get("/archive/url/", request_id="r1"))[0] == 200
    assert (await get("/archive/url/"))[0] == 400
    assert await get("/") == (200, {"status": "ok"})
