"""The document that the service serves says what it does: made-up requests, checked against it."""

import pytest
from aiohttp import web

from headrace_services.payload_tracker.api import PREFIXES, Api
from headrace_services.payload_tracker.settings import TrackerSettings
from tests.integration.payload_tracker.conftest import Client
from tests.openapi import ABSENT, Conformance, Served


@pytest.fixture
def served(api: Client) -> Served:
    return Served(api.url)


class TestPayloadTracker(Conformance):
    """In the local shape nobody authenticates; unknown payloads are 404, and unknown parameters are ignored."""

    prefix = PREFIXES[0]
    examples = 5
    unlisted = frozenset({"/", "/health", *PREFIXES, *(f"{prefix}/health" for prefix in PREFIXES)})

    def application(self) -> web.Application:
        return Api(ABSENT, ABSENT, ABSENT, TrackerSettings()).application()
