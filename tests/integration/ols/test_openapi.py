"""The document that the service serves says what it does: made-up requests, checked against it."""

import pytest
from aiohttp import web

from headrace_services.ols.api import Api
from tests.integration.ols.harness import Ols
from tests.openapi import ABSENT, Conformance, Served


@pytest.fixture
def served(ols: Ols) -> Served:
    return Served(ols.url)


class TestOls(Conformance):
    """In the local shape nobody authenticates; ids, attachments' types and feedback are read as upstream reads them."""

    examples = 25
    operations = frozenset({
        "query", "streamingQuery", "feedback", "feedbackStatus", "authorized", "readiness", "liveness", "metrics",
        "openapi", "docs", "clientAuthHeaders",
    })  # fmt: skip

    def application(self) -> web.Application:
        return Api(*[ABSENT] * 6).application()


async def test_requests_and_their_answers_are_named_as_upstream_names_them(ols: Ols) -> None:
    schemas = (await ols.get("/openapi.json")).json["components"]["schemas"]
    assert {"LLMRequest", "LLMResponse", "FeedbackRequest", "FeedbackResponse", "Attachment"} <= set(schemas)
    assert schemas["LLMRequest"]["additionalProperties"] is False
    assert schemas["FeedbackRequest"]["required"] == ["conversation_id", "user_question", "llm_response"]
