"""Questions: answers of the built-in responder, transcripts, limits, redaction, conversations."""

import asyncio
import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from headrace_services.ols import store
from tests.integration.ols.harness import NOBODY, Llm, Ols, open_ols
from tests.waiting import eventually

LOG = {"attachment_type": "log", "content_type": "text/plain", "content": "it crashed"}
REDACTING = """
ols_config:
  user_data_collection:
    transcripts_disabled: false
    transcripts_storage: ROOT/transcripts
  query_filters:
    - {name: ip, pattern: '\\b\\d{1,3}(\\.\\d{1,3}){3}\\b', replace_with: <ip>}
    - {name: name, pattern: '(?i)my (\\w+)', replace_with: 'the \\1'}
"""


async def test_the_built_in_responder_says_that_it_is_one(ols: Ols):
    answer = await ols.ask("How do I scale a deployment?")
    assert answer.status == 200
    assert list(answer.json) == [
        "conversation_id", "response", "referenced_documents", "truncated", "input_tokens", "output_tokens",
        "available_quotas", "tool_calls", "tool_results",
    ]  # fmt: skip
    assert "built-in responder, not a language model" in answer.json["response"]
    assert "How do I scale a deployment?" in answer.json["response"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_turn_is_a_transcript(ols: Ols):
    answer = await ols.ask("Why?", attachments=[LOG], mode="troubleshooting")
    conversation_id = answer.json["conversation_id"]
    (path,) = ols.files("transcripts")
    assert path.parent == ols.root / "transcripts" / NOBODY / conversation_id
    assert UUID(path.stem).version == 4
    record = json.loads(path.read_bytes())
    assert list(record) == [
        "metadata", "redacted_query", "llm_response", "rag_chunks", "truncated", "tool_calls", "attachments",
    ]  # fmt: skip
    timestamp = record["metadata"].pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", timestamp)
    assert datetime.fromisoformat(timestamp).utcoffset() == timedelta(0)
    assert list(record["metadata"].items()) == [
        ("provider", "headrace"),
        ("model", "built-in-responder"),
        ("user_id", NOBODY),
        ("conversation_id", conversation_id),
        ("mode", "troubleshooting"),
    ]
    assert record["redacted_query"] == "Why?"
    assert record["llm_response"] == answer.json["response"]
    assert record["attachments"] == [LOG]
    assert [record[name] for name in ("rag_chunks", "truncated", "tool_calls")] == [[], False, []]
    assert b'","' in path.read_bytes(), "compact"


async def test_streams_of_json_are_events(ols: Ols):
    answer = await ols.ask("hi", path="/v1/streaming_query", media_type="application/json")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    start, *tokens, end = answer.events
    (record,) = ols.records("transcripts")
    assert start == {"event": "start", "data": {"conversation_id": record["metadata"]["conversation_id"]}}
    assert {token["event"] for token in tokens} == {"token"}
    assert [token["data"]["id"] for token in tokens] == list(range(len(tokens)))
    assert "".join(token["data"]["token"] for token in tokens) == record["llm_response"]
    assert list(end) == ["event", "data", "available_quotas"]
    assert list(end["data"]) == [
        "referenced_documents", "truncated", "input_tokens", "output_tokens", "reasoning_tokens",
    ]  # fmt: skip


async def test_streams_of_text_are_the_answer(ols: Ols):
    answer = await ols.ask("hi", path="/v1/streaming_query")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [record["llm_response"] for record in ols.records("transcripts")] == [answer.text]


async def test_what_is_filtered_goes_nowhere(root: Path, llm: Llm):
    attachment = LOG | {"content": "from 10.0.0.1"}
    config = REDACTING + f"llm_providers:\n  - {{name: vllm, url: '{llm.url}', models: [{{name: m}}]}}\n"
    config = config.replace("ols_config:", "ols_config:\n  default_provider: vllm\n  default_model: m", 1)
    async with open_ols(root, config=config) as ols:
        answer = await ols.ask("Is my pod at 192.168.0.7?", attachments=[attachment])
        assert answer.status == 200, answer.text
        (record,) = ols.records("transcripts")
    assert record["redacted_query"] == "Is the pod at <ip>?"
    assert record["attachments"] == [LOG | {"content": "from <ip>"}]
    sent = json.dumps(llm.bodies)
    assert "Is the pod at <ip>?" in sent
    assert "192.168" not in sent
    assert "10.0.0.1" not in sent


async def test_a_conversation_goes_on_and_is_its_users_own(root: Path, llm: Llm):
    async with open_ols(root, OLS_LLM_URL=llm.url, OLS_LLM_MODEL="m") as ols:
        first = await ols.ask("one", attachments=[LOG])
        conversation_id = first.json["conversation_id"]
        await ols.ask("two", conversation_id=conversation_id)
        await ols.ask("three", conversation_id=conversation_id, path="/v1/query?user_id=another")
        assert len(ols.files("transcripts")) == 3
    one, two, three = (
        [(message["role"], message["content"]) for message in body["messages"][1:]] for body in llm.bodies
    )
    assert one == [("user", "one\n\nFor reference, here is the log:\n```\nit crashed\n```\n")]
    assert two == [*one, ("assistant", "Scale it with oc scale."), ("user", "two")]
    assert three == [("user", "three")]


async def test_limits_are_exact(ols: Ols):
    most: dict[str, Any] = {"attachments": [LOG | {"content": "\u00e4" * 100_000}] * 10}
    assert (await ols.ask("x" * 32_000, **most)).status == 413, "it fits the limits, not the LLM's window"
    assert (await ols.ask("x" * 32_000)).status == 200
    assert (await ols.ask("x", attachments=[LOG | {"content": "x" * 100_000}])).status == 200
    for body, place, kind in (
        ({"query": "x" * 32_001}, ["query"], "string_too_long"),
        ({"query": "x", "attachments": [LOG] * 11}, ["attachments"], "too_long"),
        (
            {"query": "x", "attachments": [LOG, LOG | {"content": "x" * 100_001}]},
            ["attachments", 1, "content"],
            "string_too_long",
        ),
    ):
        answer = await ols.call("POST", "/v1/query", body)
        assert answer.status == 422
        assert [(item["loc"], item["type"]) for item in answer.detail] == [(["body", *place], kind)]


async def test_a_large_window_takes_the_largest_question(root: Path):
    config = """
llm_providers:
  - name: ours
    type: fake_provider
    models: [{name: large, context_window_size: 1000000}]
ols_config:
  default_provider: ours
  default_model: large
  user_data_collection: {transcripts_disabled: false, transcripts_storage: ROOT/transcripts}
"""
    async with open_ols(root, config=config) as ols:
        attachments = [LOG | {"content": f"{number}" * 100_000} for number in range(10)]
        assert (await ols.ask("x" * 32_000, attachments=attachments)).status == 200
        (record,) = ols.records("transcripts")
        assert record["attachments"] == attachments
        assert ols.files("transcripts")[0].stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"attachments": [LOG | {"attachment_type": "poem"}]}, "Attachment with improper type poem detected"),
        (
            {"attachments": [LOG | {"content_type": "image/png"}]},
            "Attachment with improper content type image/png detected",
        ),
        (
            {"provider": "nobody", "model": "m"},
            "Provider 'nobody' is not a valid provider. Valid providers are: ['headrace']",
        ),
        ({"provider": ""}, "Provider '' is not a valid provider. Valid providers are: ['headrace']"),
        (
            {"provider": "headrace", "model": "m"},
            "Model 'm' is not a valid model for provider 'headrace'. Valid models are: ['built-in-responder']",
        ),
    ],
)
async def test_what_cannot_be_asked_is_told(ols: Ols, body, cause):
    for path in ("/v1/query", "/v1/streaming_query"):
        answer = await ols.ask("x", path=path, **body)
        assert (answer.status, answer.detail) == (
            422,
            {"response": "Unable to process this request", "cause": cause},
        )
    assert ols.files("transcripts") == []


async def test_questions_that_do_not_hold_together_are_refused(ols: Ols):
    for body, text in (
        ({"provider": "p"}, "LLM model must be specified when the provider is specified."),
        ({"model": "m"}, "LLM provider must be specified when the model is specified."),
        ({"provider": "", "model": "m"}, "LLM provider must be specified when the model is specified."),
        ({"media_type": None}, "Invalid media type: 'None', must be text/plain or application/json"),
        (
            {"media_type": "text/html"},
            "Invalid media type: 'text/html', must be text/plain or application/json",
        ),
    ):
        answer = await ols.ask("x", **body)
        assert (answer.status, answer.detail[0]["msg"]) == (422, f"Value error, {text}")
    answer = await ols.ask("x", colour="red")
    assert [(item["type"], item["loc"]) for item in answer.detail] == [
        ("extra_forbidden", ["body", "colour"])
    ]
    answer = await ols.ask("x", mode="guess")
    assert answer.detail[0]["msg"] == "Input should be 'ask' or 'troubleshooting'"
    answer = await ols.ask("x", conversation_id="../../x")
    assert (answer.status, answer.detail) == (
        400,
        {"response": "Error retrieving conversation history", "cause": "Invalid conversation ID ../../x"},
    )


@pytest.mark.parametrize(
    "user_id",
    ["../../../etc", "..", ".", "/", "a/../../b", "a/b", "x" * 900, "\0", "é/..//", "\u202e", "%2e%2e%2f"],
)
async def test_no_id_leaves_the_storage_or_the_collectors_depth(ols: Ols, user_id: str):
    conversation_id = "urn:uuid:" + "-" * 300 + str(uuid4())
    path = f"/v1/query?user_id={quote(user_id, safe='')}"
    answer = await ols.ask("x", path=path, conversation_id=conversation_id)
    assert answer.status == 200, answer.text
    assert len(list(ols.root.glob("transcripts/*/*/*.json"))) == 1
    (kept,) = ols.files("transcripts")
    assert kept.resolve().is_relative_to(ols.root / "transcripts")
    assert {item.name for item in ols.root.iterdir()} == {"config", "config_status", "transcripts"}
    assert {item.name for item in ols.root.parent.iterdir()} == {ols.root.name}
    assert json.loads(kept.read_bytes())["metadata"]["user_id"] == user_id


async def test_an_answer_survives_its_transcript(ols: Ols, monkeypatch):
    monkeypatch.setattr(store, "_create", lambda path: os.open("/dev/full", os.O_WRONLY))
    failed = 'ols_user_data_total{kind="transcripts",outcome="failed"}'
    before = sample((await ols.get("/metrics")).text, failed)
    assert (await ols.ask("hi")).status == 200
    answer = await ols.ask("hi", path="/v1/streaming_query", media_type="application/json")
    assert answer.events[-1]["event"] == "end"
    assert sample((await ols.get("/metrics")).text, failed) == before + 2
    assert ols.files("transcripts") == []


def sample(text: str, name: str) -> float:
    return float(next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), 0))


async def test_many_turns_of_one_conversation_at_once(ols: Ols):
    conversation_id = str(uuid4())
    answers = await asyncio.gather(
        *(ols.ask(f"question {number}", conversation_id=conversation_id) for number in range(100))
    )
    assert {answer.status for answer in answers} == {200}
    records = ols.records("transcripts")
    assert sorted(record["redacted_query"] for record in records) == sorted(
        f"question {number}" for number in range(100)
    )


async def test_too_many_at_once_are_told_to_come_again(root: Path, llm: Llm, monkeypatch):
    monkeypatch.setattr("headrace_services.ols.api._PLACE_SECONDS", 0.05)
    released = asyncio.Event()

    async def waits(request):
        await released.wait()
        return await llm.handle(request)

    llm.script = [waits]
    async with open_ols(root, OLS_LLM_URL=llm.url, OLS_LLM_MODEL="m", OLS_MAX_CONCURRENT="1") as ols:
        slow = asyncio.create_task(ols.ask("slow"))
        await eventually(lambda: llm.bodies, within_seconds=30)
        refused = await ols.ask("next")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert refused.detail == {
            "response": "Service is not available",
            "cause": "too many requests at once",
        }
        released.set()
        assert (await slow).status == 200
        assert (await ols.ask("next")).status == 200


async def test_probes_and_metrics(ols: Ols):
    assert (await ols.get("/readiness")).text == '{"ready":true,"reason":"service is ready"}'
    assert (await ols.get("/liveness")).json == {"alive": True}
    assert (await ols.call("HEAD", "/readiness")).status == 200
    await ols.ask("hi")
    await ols.get("/v1/nowhere")
    metrics = (await ols.get("/metrics")).text
    assert sample(metrics, 'ols_rest_api_calls_total{path="/v1/query",status_code="200"}') >= 1
    assert sample(metrics, 'ols_rest_api_calls_total{path="other",status_code="404"}') >= 1
    assert sample(metrics, 'ols_llm_calls_total{model="built-in-responder",provider="headrace"}') >= 1
    assert 'ols_rest_api_calls_total{path="/metrics"' not in (await ols.get("/metrics")).text
    assert (await ols.get("/v1/nowhere")).json == {"detail": "Not Found"}
    wrong = await ols.get("/v1/query")
    assert (wrong.status, wrong.json) == (405, {"detail": "Method Not Allowed"})


async def test_what_there_is_not_is_told_as_upstream_tells_it(ols: Ols):
    async with ols.session.get(f"{ols.url}/v1/mcp/client-auth-headers") as answer:
        assert (answer.status, await answer.json()) == (200, {"servers": []})
    async with ols.session.get(f"{ols.url}/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "/v1/streaming_query" in await answer.text()
