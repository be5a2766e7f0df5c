"""What an LLM is sent, what is remembered, what the files say."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_services.ols import records
from headrace_services.ols.bodies import Attachment, FeedbackRequest, LLMRequest, Mode
from headrace_services.ols.conversations import Conversations, Turn
from headrace_services.ols.llm import BuiltIn, Usage
from headrace_services.ols.prompts import messages, with_attachments
from headrace_services.ols.refusals import Problem

POD = "kind: Pod\nmetadata:\n  labels:\n    name: not-this\n\n  name: private-reg\n"


def test_manifests_are_introduced_by_their_name():
    attachment = Attachment(attachment_type="api object", content_type="application/yaml", content=POD)
    assert with_attachments("Why?", [attachment]) == (
        f"Why?\n\nFor reference, here is the full resource YAML for Pod 'private-reg':\n```yaml\n{POD}\n```\n"
    )


def test_an_attachment_cannot_end_its_own_block():
    attachment = Attachment(attachment_type="log", content_type="text/plain", content="a\n````\nb")
    assert with_attachments("", [attachment]).splitlines()[3:] == ["`````", "a", "````", "b", "`````"]


def test_a_manifest_that_looks_long_is_read_in_no_time():
    hostile = "metadata:\n" + " \n" * 40_000
    attachment = Attachment(
        attachment_type="log", content_type="application/yaml", content=f"kind: a\n{hostile}"
    )
    assert "here is the log" in with_attachments("", [attachment])


def test_the_newest_turns_that_fit_are_sent():
    turns = [Turn(f"question {number}".ljust(400), "a" * 400) for number in range(5)]
    composed, truncated = messages("prompt", turns, "now", limit_tokens=450)
    assert [message["content"].strip() for message in composed if message["role"] == "user"] == [
        "question 3",
        "question 4",
        "now",
    ]
    assert truncated
    composed, truncated = messages("prompt", turns, "now", limit_tokens=10_000)
    assert len(composed) == 12
    assert not truncated
    with pytest.raises(Problem) as raised:
        messages("prompt", (), "x" * 4000, limit_tokens=1000)
    assert (raised.value.status, raised.value.detail) == (
        413,
        {
            "response": "Prompt is too long",
            "cause": "Prompt length exceeds LLM context window limit (1000 tokens)",
        },
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.text(max_size=30)), max_size=60))
def test_memory_is_bounded_and_keeps_the_newest(said):
    conversations = Conversations(3, 4, 100)
    kept: dict[str, list[str]] = {}
    for number, text in said:
        conversations.remember("user", str(number), Turn(text, "answer"))
        kept.setdefault(str(number), []).append(text)
    assert len(conversations) <= 3
    total = 0
    for number, texts in kept.items():
        turns = conversations.turns("user", number)
        assert len(turns) <= 4
        assert [turn.question for turn in turns] == texts[len(texts) - len(turns) :]
        assert conversations.turns("another", number) == ()
        total += sum(turn.characters for turn in turns)
    assert conversations.characters == total
    assert total <= 100


def test_the_longest_unused_conversation_goes_first():
    conversations = Conversations(2, 10)
    for number in ("a", "b"):
        conversations.remember("user", number, Turn("q", "a"))
    conversations.turns("user", "a")
    conversations.remember("user", "c", Turn("q", "a"))
    assert [len(conversations.turns("user", number)) for number in ("a", "b", "c")] == [1, 0, 1]


MOMENT = datetime(2026, 1, 2, 5, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))


def test_feedbacks_time_is_utc_that_does_not_say_so():
    sent = FeedbackRequest(
        conversation_id="12345678abcd00000123456789abcdef", user_question="q", llm_response="r", sentiment=1
    )
    assert records.feedback("u", sent, MOMENT)["timestamp"] == "2026-01-02 03:04:05.678901"
    assert records.feedback("u", sent, MOMENT.replace(microsecond=0))["timestamp"] == "2026-01-02 03:04:05"


def test_a_transcripts_time_says_it():
    record = records.transcript(
        user_id="u",
        conversation_id="c",
        provider="p",
        model="m",
        sent=LLMRequest(query="secret", mode=Mode.ASK),
        query="redacted",
        answer="a",
        truncated=True,
        attachments=(),
        now=MOMENT.astimezone(UTC),
    )
    assert record["metadata"]["timestamp"] == "2026-01-02T03:04:05.678901+00:00"
    assert record["metadata"]["mode"] == "ask"
    assert (record["redacted_query"], record["truncated"]) == ("redacted", True)


async def test_the_built_in_responder_streams_what_it_says():
    composed, _ = messages("p", [Turn("a", "b")], "c " * 500, limit_tokens=10_000)
    text, usage = await BuiltIn().complete(composed)
    assert "".join([piece async for piece in BuiltIn().stream(composed) if isinstance(piece, str)]) == text
    assert "after 1 earlier question: c c" in text
    assert len(text) < 600
    assert usage == Usage()
