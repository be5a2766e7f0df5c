"""The document that the API serves says what the API does: made-up requests, checked against it."""

import asyncio

import pytest
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.integration.results_aggregator_rest.harness import (
    KEY,
    NAMESPACE,
    PREFIXES,
    RULE,
    SELECTOR,
    USER,
    Client,
    declared,
    endpoints,
    identity,
)
from tests.openapi import check_all

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

NOT_CHECKED = [
    # metrics and openapi.json are for everybody.
    ignored_auth,
    # A text's bound is in bytes, which a schema cannot say.
    positive_data_acceptance,
    # Fields that nobody knows are ignored, and null is no text: clients rely on it.
    negative_data_rejection,
]


async def test_every_answer_is_in_the_document(api: Client):
    ours = api.tenant()
    cluster = await ours.cluster((RULE, KEY))
    await ours.namespace(cluster)
    known = {
        "org_id": ours.org_id, "organization": ours.org_id, "cluster": cluster, "cluster_list": cluster,
        "user_id": USER, "rule_id": RULE, "error_key": KEY,
        "rule_selector": SELECTOR, "rule": SELECTOR, "namespace": NAMESPACE,
    }  # fmt: skip
    document = (await api.get("/openapi.json")).json
    checked = await asyncio.to_thread(
        check_all,
        document,
        f"{api.url}/api/v1",
        identity(ours.org_id),
        not_checked=NOT_CHECKED,
        examples=12,
        known=known,
    )
    assert {operation["operationId"] for operation in checked} == {
        "info",
        "metrics",
        "openapi",
        *(endpoint.operation for endpoint in endpoints()),
    }


async def test_the_document_has_exactly_the_routes_that_are_served(api: Client):
    document = (await api.get("/openapi.json")).json
    assert tuple(server["url"] for server in document["servers"]) == PREFIXES
    described = {
        (method.upper(), f"{prefix}{path}".rstrip("/"))
        for prefix in PREFIXES
        for path, item in document["paths"].items()
        for method in item
    }
    routes = declared().application().router.routes()
    assert described == {
        (route.method, route.resource.canonical.rstrip("/")) for route in routes if route.resource
    }
