"""Feedback: what is taken, what is refused and how, what lies on the disk afterwards."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace_services.ols import store
from tests.integration.ols.harness import CONVERSATION, FEEDBACK, NOBODY, Ols, open_ols

DISABLED = "ols_config:\n  default_provider: x\n"


def missing(field: str, body: object) -> dict[str, object]:
    return {"type": "missing", "loc": ["body", field], "msg": "Field required", "input": body}


def value_error(loc: list[str], text: str, given: object) -> dict[str, object]:
    return {
        "type": "value_error",
        "loc": ["body", *loc],
        "msg": f"Value error, {text}",
        "input": given,
        "ctx": {"error": {}},
    }


async def test_feedback_lies_on_the_disk_when_it_is_acknowledged(ols: Ols):
    answer = await ols.feedback(user_feedback="schön", anything="is ignored")
    assert (answer.status, answer.text) == (200, '{"response":"feedback received"}')
    (path,) = ols.files("feedback")
    assert path.parent == ols.root / "feedback"
    assert path.suffix == ".json"
    assert UUID(path.stem).version == 4
    record = json.loads(path.read_bytes())
    assert list(record) == [
        "user_id", "timestamp", "conversation_id", "user_question", "llm_response", "sentiment", "user_feedback",
    ]  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", record.pop("timestamp"))
    assert record == {"user_id": NOBODY, "user_feedback": "schön", **FEEDBACK}
    assert b'","' in path.read_bytes(), "compact"


async def test_a_caller_that_nobody_asks_names_itself(ols: Ols):
    answer = await ols.call("POST", "/v1/feedback?user_id=me", FEEDBACK)
    assert answer.status == 200
    assert [record["user_id"] for record in ols.records("feedback")] == ["me"]


@pytest.mark.parametrize(
    "conversation_id",
    [
        CONVERSATION,
        CONVERSATION.upper(),
        CONVERSATION.replace("-", ""),
        f"{{{CONVERSATION}}}",
        f"urn:uuid:{CONVERSATION}",
    ],
)
async def test_whatever_python_takes_for_a_uuid_is_one(ols: Ols, conversation_id: str):
    assert (await ols.feedback(conversation_id=conversation_id)).status == 200
    assert [record["conversation_id"] for record in ols.records("feedback")] == [conversation_id]


async def test_refusals_have_fastapis_shape(ols: Ols):
    async def refusal(*without: str, **changes: object) -> Any:
        answer = await ols.feedback(*without, **changes)
        assert answer.status == 422, answer.text
        return answer.detail

    short = {key: value for key, value in FEEDBACK.items() if key != "llm_response"}
    assert await refusal("llm_response") == [missing("llm_response", short)]
    assert await refusal(conversation_id="1-2") == [
        value_error(["conversation_id"], "Improper conversation ID 1-2", "1-2")
    ]
    for wrong in (0, 2, -2):
        assert await refusal(sentiment=wrong) == [
            value_error(["sentiment"], f"Improper value {wrong}, needs to be -1 or 1", wrong)
        ]
    neither = {**FEEDBACK, "sentiment": None}
    text = "Either 'sentiment' or 'user_feedback' must be set"
    assert await refusal(sentiment=None) == [value_error([], text, neither)]
    (item,) = await refusal(user_question=7)
    assert item == {
        "type": "string_type",
        "loc": ["body", "user_question"],
        "msg": "Input should be a valid string",
        "input": 7,
    }
    assert ols.files("feedback") == []


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (None, None, {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}),
        (
            b'{"a": nope}',
            "application/json",
            {
                "type": "json_invalid",
                "loc": ["body", 6],
                "msg": "JSON decode error",
                "input": {},
                "ctx": {"error": "Expecting value"},
            },
        ),
        (
            b"[1]",
            "application/json; charset=utf-8",
            {
                "type": "model_attributes_type",
                "loc": ["body"],
                "msg": "Input should be a valid dictionary or object to extract fields from",
                "input": [1],
            },
        ),
        (
            b"{}",
            "application/x-www-form-urlencoded",
            {
                "type": "model_attributes_type",
                "loc": ["body"],
                "msg": "Input should be a valid dictionary or object to extract fields from",
                "input": "{}",
            },
        ),
    ],
    ids=["missing", "no json", "no object", "a form"],
)
async def test_bodies_that_are_none(ols: Ols, body, content_type, expected):
    headers = {"Content_Type": content_type} if content_type else {}
    answer = await ols.call("POST", "/v1/feedback", body, **headers)
    assert (answer.status, answer.detail) == (422, [expected])


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": "\\ud800"}', b"\xff\xfe", b"[" * 5000])
async def test_what_only_looks_like_json_is_refused(ols: Ols, body: bytes):
    answer = await ols.call("POST", "/v1/feedback", body)
    assert (answer.status, answer.detail[0]["type"]) == (422, "json_invalid")


async def test_disabled_feedback_is_refused_before_its_body_is_read(root: Path):
    async with open_ols(root, config=DISABLED) as ols:
        answer = await ols.call("POST", "/v1/feedback", b"not even JSON")
        assert (answer.status, answer.detail) == (403, "Forbidden: Feedback is currently disabled.")
        status = await ols.get("/v1/feedback/status")
        assert status.text == '{"functionality":"feedback","status":{"enabled":false}}'
        assert ols.files("feedback") == []


async def test_status_says_that_it_is_enabled(ols: Ols):
    assert (await ols.get("/v1/feedback/status")).json == {
        "functionality": "feedback",
        "status": {"enabled": True},
    }


async def test_a_slash_at_the_end_is_redirected(ols: Ols):
    answer = await ols.call("POST", "/v1/feedback/?user_id=me", FEEDBACK)
    assert (answer.status, answer.headers["Location"]) == (307, "/v1/feedback?user_id=me")
    async with ols.session.post(f"{ols.url}/v1/feedback/", json=FEEDBACK) as response:
        assert await response.json() == {"response": "feedback received"}


async def test_a_full_disk_is_told_with_its_cause(ols: Ols, monkeypatch):
    monkeypatch.setattr(store, "_create", lambda path: os.open("/dev/full", os.O_WRONLY))
    answer = await ols.feedback()
    assert (answer.status, answer.detail) == (
        503,
        {"response": "Error storing user feedback", "cause": "[Errno 28] No space left on device"},
    )
    monkeypatch.undo()
    assert (await ols.feedback()).status == 200
    assert len(ols.records("feedback")) == 1


async def test_a_storage_that_is_no_directory_is_told(root: Path):
    async with open_ols(root) as ols:
        (root / "feedback").write_text("in the way", encoding="utf-8")
        answer = await ols.feedback()
    assert (answer.status, answer.detail["response"]) == (500, "Error storing user feedback")
    assert answer.detail["cause"] in {"[Errno 17] File exists", "[Errno 20] Not a directory"}


async def test_many_at_once_are_all_stored(ols: Ols):
    texts = [f"opinion {number}" for number in range(200)]
    answers = await asyncio.gather(*(ols.feedback(user_feedback=text) for text in texts))
    assert {answer.status for answer in answers} == {200}
    assert sorted(record["user_feedback"] for record in ols.records("feedback")) == sorted(texts)


async def test_a_body_that_does_not_come_is_not_waited_for(root: Path):
    async def never():
        yield b"{"
        await asyncio.sleep(60)

    headers = {"Content-Type": "application/json"}
    async with (
        open_ols(root, body_seconds=0.2) as ols,
        ols.session.post(f"{ols.url}/v1/feedback", data=never(), headers=headers) as response,
    ):
        assert (response.status, await response.json()) == (408, {"detail": "Request Timeout"})


async def test_a_body_that_is_too_long_is_refused(root: Path):
    async with open_ols(root, OLS_MAX_BODY_BYTES="1000") as ols:
        answer = await ols.feedback(user_feedback="x" * 2000)
    assert (answer.status, answer.detail) == (
        413,
        {"response": "Request body is too large", "cause": "The body is longer than 1000 bytes"},
    )
