"""The document that ingress serves says what ingress does: made-up requests, checked against it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from tests.integration.ingress.harness import IDENTITY, PREFIXES, Ingress, open_ingress, serving_tracker

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
    checked = await asyncio.to_thread(check_all, document, ingress.url + prefix)
    assert checked == {"getRoot", "upload", "track", "getVersion", "getOpenapi"}


def check_all(document: dict[str, Any], url: str) -> set[str]:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    checked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        checked.add(operation.definition.raw["operationId"])

        @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Case) -> None:
            response = case.call(headers={"x-rh-identity": IDENTITY}, timeout=10)
            case.validate_response(response, excluded_checks=NOT_CHECKED)

        check()
    return checked
