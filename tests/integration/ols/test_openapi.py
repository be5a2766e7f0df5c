"""The document that the service serves says what it does: made-up requests, checked against it."""

import asyncio

import pytest
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.integration.ols.harness import Ols
from tests.openapi import check_all

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

NOT_CHECKED = [
    # In the local shape nobody is asked who they are.
    ignored_auth,
    # Ids and attachments' types are checked beyond the schema.
    positive_data_acceptance,
    # Numbers in texts are taken, and what is unknown in feedback is ignored, as upstream does.
    negative_data_rejection,
]


async def test_every_answer_is_in_the_document(ols: Ols):
    served = (await ols.get("/openapi.json")).json
    checked = await asyncio.to_thread(
        check_all, served, ols.url, {}, not_checked=NOT_CHECKED, examples=25, known={}
    )
    assert {operation["operationId"] for operation in checked} == {
        "query", "streamingQuery", "feedback", "feedbackStatus", "authorized", "readiness", "liveness", "metrics",
        "openapi", "docs", "clientAuthHeaders",
    }  # fmt: skip


async def test_requests_and_their_answers_are_named_as_upstream_names_them(ols: Ols):
    schemas = (await ols.get("/openapi.json")).json["components"]["schemas"]
    assert {"LLMRequest", "LLMResponse", "FeedbackRequest", "FeedbackResponse", "Attachment"} <= set(schemas)
    assert schemas["LLMRequest"]["additionalProperties"] is False
    assert schemas["FeedbackRequest"]["required"] == ["conversation_id", "user_question", "llm_response"]
