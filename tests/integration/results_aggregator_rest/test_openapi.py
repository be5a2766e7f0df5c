"""The document that the API serves says what the API does: made-up requests, checked against it."""

import pytest
import pytest_asyncio
from aiohttp import web

from headrace_services.results_aggregator.api_content import PREFIXES as CONTENT_PREFIXES
from tests.integration.results_aggregator_rest.harness import (
    KEY,
    NAMESPACE,
    PREFIXES,
    RULE,
    SELECTOR,
    USER,
    Client,
    declared,
    document,
    identity,
)
from tests.openapi import Conformance, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def served(api: Client) -> Served:
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    await ours.namespace(cluster)
    known = {
        "org_id": ours.org_id, "organization": ours.org_id, "cluster": cluster, "cluster_list": cluster,
        "user_id": USER, "rule_id": RULE, "error_key": KEY,
        "rule_selector": SELECTOR, "rule": SELECTOR, "namespace": NAMESPACE,
    }  # fmt: skip
    return Served(api.url, identity(ours.org_id), known)


class TestResultsAggregator(Conformance):
    """A text's bound is in bytes, which a schema cannot say; fields that nobody knows are ignored, and null is no text:
    clients rely on it.
    """

    prefix = PREFIXES[0]
    examples = 12

    def application(self) -> web.Application:
        return declared().application()


class TestRulesContent(TestResultsAggregator):
    """The routes of upstream's smart proxy have a document of their own."""

    prefix = CONTENT_PREFIXES[0]


async def test_the_document_has_both_prefixes() -> None:
    assert tuple(server["url"] for server in document()["servers"]) == PREFIXES
