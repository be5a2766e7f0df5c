"""Answers of an OpenAI-compatible endpoint, in all its moods."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.ols.harness import (
    Llm,
    Ols,
    answers,
    breaks_off,
    completion,
    delta,
    hangs,
    open_ols,
    send_events,
)

KEY = "planted-api-key"
NO_ANSWER = "Error while obtaining answer for user question"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Jitter is drawn, not waited for."""
    monkeypatch.setattr("headrace.runtime.retries._draw", lambda draw: 0.0)


async def test_a_whole_answer(asking: Ols, llm: Llm):
    answer = await asking.ask("How?")
    assert answer.json["response"] == "Scale it with oc scale."
    assert (answer.json["input_tokens"], answer.json["output_tokens"]) == (11, 7)
    (body,) = llm.bodies
    assert (body["model"], body["stream"], body["messages"][-1]) == (
        "granite",
        False,
        {"role": "user", "content": "How?"},
    )
    assert body["messages"][0]["role"] == "system"
    assert llm.authorizations == [f"Bearer {KEY}"]
    (record,) = asking.records("transcripts")
    assert (record["metadata"]["provider"], record["metadata"]["model"]) == ("openai", "granite")


async def test_a_streamed_answer(asking: Ols, llm: Llm):
    answer = await asking.ask("How?", path="/v1/streaming_query", media_type="application/json")
    assert [event["data"].get("token") for event in answer.events[1:-1]] == list(llm.pieces)
    assert llm.bodies[0]["stream"] is True
    assert asking.records("transcripts")[0]["llm_response"] == "Scale it with oc scale."


async def test_what_a_stream_costs_is_taken_where_it_is_told(asking: Ols, llm: Llm):
    async def counts(request):
        usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
        events = [delta("Yes"), delta(None, "stop"), usage]
        return await send_events(request, *(json.dumps(event) for event in events), "[DONE]")

    llm.script = [counts]
    answer = await asking.ask("How?", path="/v1/streaming_query", media_type="application/json")
    assert (answer.events[-1]["data"]["input_tokens"], answer.events[-1]["data"]["output_tokens"]) == (5, 3)


async def test_odd_counts_do_not_cost_an_answer(asking: Ols, llm: Llm):
    llm.script = [answers(200, json.dumps(completion("Yes", prompt_tokens=-5, completion_tokens="3")))]
    answer = await asking.ask("How?")
    assert (answer.status, answer.json["output_tokens"]) == (200, 1)
    assert answer.json["input_tokens"] > 0


async def test_one_that_does_not_stream_is_taken_whole(asking: Ols, llm: Llm):
    async def whole(request):
        return web.json_response(completion("All of it."))

    llm.script = [whole]
    assert (await asking.ask("How?", path="/v1/streaming_query")).text == "All of it."


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_passes_is_asked_again(asking: Ols, llm: Llm, status: int):
    llm.script = [answers(status), answers(status)]
    assert (await asking.ask("How?")).status == 200
    assert len(llm.bodies) == 3
    llm.script = [answers(status)]
    assert (await asking.ask("How?", path="/v1/streaming_query")).text == "Scale it with oc scale."


async def test_one_that_stays_away_is_503_with_its_cause(asking: Ols, llm: Llm):
    llm.script = [answers(503, "overloaded")] * 6
    answer = await asking.ask("How?")
    assert answer.status == 503
    assert answer.detail == {"response": NO_ANSWER, "cause": "the LLM answered 503"}
    assert answer.headers["Retry-After"] == "5"
    assert len(llm.bodies) == 3
    streamed = await asking.ask("How?", path="/v1/streaming_query")
    assert (streamed.status, streamed.text) == (200, f"{NO_ANSWER}: the LLM answered 503")
    assert asking.files("transcripts") == []


async def test_nobody_there_is_503(root: Path):
    async with open_ols(root, OLS_LLM_URL="http://127.0.0.1:9/v1", OLS_LLM_MODEL="m") as ols:
        answer = await ols.ask("How?")
    assert (answer.status, answer.detail["response"]) == (503, NO_ANSWER)
    assert answer.detail["cause"].startswith("the LLM does not answer: Client")


@pytest.mark.parametrize("limit", ["OLS_LLM_SECONDS", "OLS_LLM_IDLE_SECONDS"])
async def test_one_that_is_silent_is_given_up(root: Path, llm: Llm, limit: str):
    llm.script = [hangs] * 4
    variables: dict[str, Any] = {
        "OLS_LLM_URL": llm.url,
        "OLS_LLM_MODEL": "m",
        "OLS_LLM_ATTEMPTS": "1",
        limit: "0.3",
    }
    async with open_ols(root, **variables) as ols:
        answer = await ols.ask("How?")
        assert answer.status == 503
        assert answer.detail["cause"].startswith("the LLM does not answer: ")
        streamed = await ols.ask("How?", path="/v1/streaming_query", media_type="application/json")
    assert [event["event"] for event in streamed.events] == ["start", "error"]
    assert streamed.events[1]["data"]["status_code"] == 503


async def test_what_breaks_off_is_said_and_not_kept(asking: Ols, llm: Llm):
    llm.script = [breaks_off]
    answer = await asking.ask("How?", path="/v1/streaming_query", media_type="application/json")
    assert [event["event"] for event in answer.events] == ["start", "token", "error"]
    assert answer.events[-1]["data"]["response"] == NO_ANSWER

    async def ends_early(request):
        return await send_events(request, json.dumps(delta("half")))

    llm.script = [ends_early]
    answer = await asking.ask("How?", path="/v1/streaming_query")
    assert answer.text == f"half{NO_ANSWER}: the LLM's answer was truncated"
    assert asking.files("transcripts") == []


@pytest.mark.parametrize(
    ("status", "text", "cause"),
    [
        (200, "<html>", "the LLM's answer is not a chat completion"),
        (200, '{"choices": []}', "the LLM's answer contains no text"),
        (200, '{"choices": [{"message": {"content": null}}]}', "the LLM's answer contains no text"),
        (401, f"Incorrect API key provided: {KEY}", "the LLM answered 401"),
        (302, "", "the LLM answered 302"),
        (200, json.dumps(completion("x" * (5 << 20))), "the LLM sent an answer of more than 4194304 bytes"),
    ],
    ids=["html", "no choice", "no text", "bad key", "redirect", "endless"],
)
async def test_nonsense_is_500_with_its_cause(asking: Ols, llm: Llm, status, text, cause):
    llm.script = [answers(status, text)]
    answer = await asking.ask("How?")
    assert (answer.status, answer.detail) == (500, {"response": NO_ANSWER, "cause": cause})
    assert len(llm.bodies) == 1


async def test_a_question_that_does_not_fit_is_413(asking: Ols, llm: Llm):
    error = {"error": {"code": "context_length_exceeded", "message": "too much"}}
    llm.script = [answers(400, json.dumps(error))]
    answer = await asking.ask("How?")
    assert (answer.status, answer.detail["response"]) == (413, "Prompt is too long")


async def test_providers_of_the_file(root: Path, llm: Llm, tmp_path: Path):
    keys = tmp_path / "credentials"
    keys.mkdir()
    keys.joinpath("apitoken").write_text("key-of-a-file\n", encoding="utf-8")
    config = f"""
llm_providers:
  - name: first
    type: rhoai_vllm
    url: {llm.url}/
    credentials_path: {keys}
    models:
      - name: a
        parameters: {{max_tokens_for_response: 77}}
      - name: b
  - name: second
    type: openai
    openai_config: {{url: '{llm.url}'}}
    models: [{{name: c, parameters: {{max_tokens_for_response: 88}}}}]
  - name: cloud
    type: watsonx
    models: [{{name: d}}]
ols_config:
  default_provider: first
  default_model: a
"""
    async with open_ols(root, config=config, OLS_LLM_URL="http://unused", OLS_LLM_MODEL="unused") as ols:
        for choice in ({}, {"provider": "first", "model": "b"}, {"provider": "second", "model": "c"}):
            assert (await ols.ask("x", **choice)).status == 200
        refused = await ols.ask("x", provider="cloud", model="d")
    assert refused.detail["cause"] == "LLM providers of type watsonx are not supported"
    assert [body["model"] for body in llm.bodies] == ["a", "b", "c"]
    assert [body.get("max_tokens") for body in llm.bodies] == [77, None, None]
    assert llm.bodies[2]["max_completion_tokens"] == 88
    assert llm.authorizations == ["Bearer key-of-a-file", "Bearer key-of-a-file", None]


@pytest.mark.parametrize(("allowed", "expected"), [("true", "Be a pirate."), ("false", "Be a poet.")])
async def test_whose_system_prompt_counts(root: Path, llm: Llm, tmp_path: Path, allowed: str, expected: str):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Be a poet.", encoding="utf-8")
    config = f"""
ols_config:
  system_prompt_path: {prompt}
dev_config: {{enable_system_prompt_override: {allowed}}}
"""
    async with open_ols(root, config=config, OLS_LLM_URL=llm.url, OLS_LLM_MODEL="m") as ols:
        await ols.ask("x", system_prompt="Be a pirate.")
    assert llm.bodies[0]["messages"][0] == {"role": "system", "content": expected}


async def test_a_client_that_goes_leaves_the_service_well(asking: Ols, llm: Llm, caplog):
    caplog.set_level(logging.ERROR)

    async def endless(request):
        return await send_events(request, *(json.dumps(delta("x" * 10_000)) for _ in range(300)), "[DONE]")

    llm.script = [endless]
    async with asking.session.post(f"{asking.url}/v1/streaming_query", json={"query": "x"}) as response:
        await response.content.readany()
        response.close()
    assert (await asking.ask("How?")).status == 200
    assert caplog.records == []
