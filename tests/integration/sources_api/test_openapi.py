"""The document that the service serves says what it does: made-up requests, checked against it."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from services.sources_api.openapi import document
from tests.integration.sources_api.harness import V3, Sources, identity

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The service draws its jitter in the same process, while hypothesis watches for just that.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

NOT_CHECKED = [
    # Types are for everybody.
    ignored_auth,
    # Made-up ids name nothing.
    positive_data_acceptance,
    # A field's null is "not given", and an id may have leading zeros.
    negative_data_rejection,
]


async def test_every_answer_is_in_the_document(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    await sources.application(org, source["id"])
    served = (await sources.get("openapi.json")).json
    assert served == document(V3)
    checked = await asyncio.to_thread(check_all, served, sources.url + V3, identity(org))
    assert checked == sum(len(methods) for methods in served["paths"].values())


def check_all(served: dict[str, Any], url: str, header: str) -> int:
    schema = schemathesis.openapi.from_dict(served)
    schema.config.update(base_url=url)
    checked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        checked += 1

        @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Case) -> None:
            response = case.call(headers={"x-rh-identity": header}, timeout=10)
            case.validate_response(response, excluded_checks=NOT_CHECKED)

        check()
    return checked
