"""The document that the service serves says what it does: made-up requests, checked against it."""

import asyncio

import pytest
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from tests.integration.sources_api.harness import V3, Sources, identity
from tests.openapi import check_all

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
    assert served["servers"] == [{"url": V3}]
    checked = await asyncio.to_thread(
        check_all,
        served,
        sources.url + V3,
        {"x-rh-identity": identity(org)},
        not_checked=NOT_CHECKED,
        examples=3,
    )
    assert len(checked) == sum(len(methods) for methods in served["paths"].values())
