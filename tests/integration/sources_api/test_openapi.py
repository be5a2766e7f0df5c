"""The document that the service serves says what it does: made-up requests, checked against it."""

from unittest.mock import Mock

import pytest
import pytest_asyncio
from aiohttp import web

from headrace_services.sources_api.api import Api
from headrace_services.sources_api.internal import INTERNAL_PREFIXES
from tests.integration.sources_api.harness import V3, Sources, identity
from tests.openapi import ABSENT, Conformance, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def served(sources: Sources, org: str) -> Served:
    source = await sources.source(org)
    await sources.application(org, source["id"])
    return Served(sources.url, {"x-rh-identity": identity(org)})


class TestSourcesApi(Conformance):
    """Types are for everybody, made-up ids name nothing, a field's null is "not given"."""

    prefix = V3
    examples = 3
    unlisted = frozenset({"/health"}) | {
        f"{prefix}/{path}" for prefix in INTERNAL_PREFIXES for path in ("sources", "authentications/{id}")
    }

    def application(self) -> web.Application:
        return Api(ABSENT, ABSENT, Mock(), ABSENT, 1).application()
