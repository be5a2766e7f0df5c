"""The document that ingress serves says what ingress does: made-up requests, checked against it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from tests.integration.ingress.harness import IDENTITY, PREFIXES, Ingress, open_ingress, serving_tracker
from tests.openapi import check_all

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The service draws its jitter in the same process, while hypothesis watches for just that.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

NOT_CHECKED = [
    # A wrong identity is upstream's 400, not 401, and version and openapi.json are for everybody.
    ignored_auth,
    # What is made up seldom has a file with a vendor content type.
    positive_data_acceptance,
    # Bad metadata is dropped and the upload accepted, a bad verbosity is none: upstream's clients rely on it.
    negative_data_rejection,
]


PAYLOAD = (
    b'{"data":[{"id":1,"service":"ingress","status":"success","org_id":"000001","date":"d"}],"duration":{}}'
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingress(kafka_url: str, s3_url: str) -> AsyncIterator[Ingress]:
    async with (
        serving_tracker({"any": (200, PAYLOAD)}) as address,
        open_ingress(kafka_url, s3_url, PAYLOADTRACKERURL=f"http://{address}/api/v1/payloads/") as opened,
    ):
        yield opened


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_answer_is_in_the_document(ingress: Ingress, prefix: str):
    document = (await ingress.get(f"{prefix}/openapi.json")).json
    assert prefix in [server["url"] for server in document["servers"]]
    checked = await asyncio.to_thread(
        check_all,
        document,
        ingress.url + prefix,
        {"x-rh-identity": IDENTITY},
        not_checked=NOT_CHECKED,
        examples=30,
    )
    assert {operation["operationId"] for operation in checked} == {
        "getRoot",
        "upload",
        "track",
        "getVersion",
        "getOpenapi",
    }
