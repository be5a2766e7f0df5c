"""The document that ingress serves says what ingress does: made-up requests, checked against it."""

from collections.abc import AsyncIterator
from unittest.mock import AsyncMock, Mock

import pytest
import pytest_asyncio
from aiohttp import web

from headrace_services.ingress.api import Api
from headrace_services.ingress.store import FileStager
from tests.integration.ingress.harness import IDENTITY, PREFIXES, open_ingress, serving_tracker
from tests.openapi import ABSENT, Conformance, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = (
    b'{"data":[{"id":1,"service":"ingress","status":"success","org_id":"000001","date":"d"}],"duration":{}}'
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(kafka_url: str, s3_url: str) -> AsyncIterator[Served]:
    async with (
        serving_tracker({"any": (200, PAYLOAD)}) as address,
        open_ingress(kafka_url, s3_url, PAYLOADTRACKERURL=f"http://{address}/api/v1/payloads/") as opened,
    ):
        yield Served(opened.url, {"x-rh-identity": IDENTITY})


class TestIngress(Conformance):
    """A wrong identity is upstream's 400, not 401; what is made up seldom has a vendor content type; bad metadata is
    dropped and the upload accepted, a bad verbosity is none: upstream's clients rely on it.
    """

    prefix = PREFIXES[0]
    examples = 30
    operations = frozenset({"getRoot", "upload", "track", "getVersion", "getOpenapi"})
    unlisted = frozenset({"/", "/download/{request_id}"})
    in_words = frozenset({"Metadata"})

    def application(self) -> web.Application:
        return Api(Mock(auth=True), ABSENT, AsyncMock(), AsyncMock(), Mock(spec=FileStager)).application()


class TestIngressBelowItsOtherPrefix(TestIngress):
    """The same handlers."""

    prefix = PREFIXES[1]
    examples = 5
