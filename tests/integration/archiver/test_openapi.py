"""The document that the service serves says what it does: made-up requests, checked against it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from headrace.contracts.identity import Identity, encode_identity
from headrace.web.listener import Listener
from headrace_services.archiver.api import Api
from headrace_services.archiver.settings import ArchiverSettings
from tests.integration.archiver.conftest import Bench
from tests.openapi import ABSENT, Conformance, Served

OWNER = encode_identity(Identity(org_id="000001", type="User"))


@pytest.fixture
async def served(bench: Bench) -> AsyncIterator[Served]:
    await bench.handle(await bench.upload("r1", b"payload"))
    api = Api(bench.table, {"": bench.store}, ArchiverSettings())
    listener = await Listener.open(api.application(), "127.0.0.1", 0)
    yield Served(f"http://127.0.0.1:{listener.port}", {"x-rh-identity": OWNER})
    await listener.close()


class TestArchiver(Conformance):
    """A wrong identity is refused, another organisation's is not; an archive may be unknown."""

    document_path = "/api/archives/v1/openapi.json"
    examples = 5

    def application(self) -> web.Application:
        return Api(ABSENT, {}, ArchiverSettings()).application()
