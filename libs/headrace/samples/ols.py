"""The data archive of the OpenShift Lightspeed collector: feedback and transcripts."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.archives import Entry
from headrace.installations.origin import random_uuid
from headrace.samples.files import json_entry, write_archive_file
from headrace.samples.ols_texts import ATTACHMENT, FEEDBACK, MODELS, TURNS
from headrace.samples.options import SampleOptions

FILE_NAME = "ols.tgz"
_CONVERSATIONS_PER_DAY = 6


def generate(directory: Path, options: SampleOptions) -> list[Path]:
    """Write ``ols.tgz``. It does not name its cluster; the sender does."""
    return [write_archive_file(directory / FILE_NAME, _entries(options), options.now)]


def _entries(options: SampleOptions) -> Iterator[Entry]:
    conversations = list(_conversations(options))
    for number, (user_id, conversation_id, when) in enumerate(conversations):
        chooser = options.chooser(f"feedback {number}")
        if chooser.random() < 0.5:
            feedback = _feedback(chooser, user_id, conversation_id, when + timedelta(minutes=9))
            yield json_entry(f"feedback/{random_uuid(chooser)}.json", feedback)
    for number, (user_id, conversation_id, when) in enumerate(conversations):
        chooser = options.chooser(f"transcript {number}")
        for turn in range(chooser.randint(1, 3)):
            name = f"transcripts/{user_id}/{conversation_id}/{random_uuid(chooser)}.json"
            asked = when + timedelta(minutes=2 * turn)
            yield json_entry(name, _transcript(chooser, user_id, conversation_id, asked))


def _conversations(options: SampleOptions) -> Iterator[tuple[str, str, datetime]]:
    chooser = options.chooser("conversations")
    users = [random_uuid(chooser) for _ in range(3)]
    for _ in range(_CONVERSATIONS_PER_DAY * options.days):
        ago = timedelta(days=options.days, microseconds=-chooser.randrange(options.days * 86_000_000_000))
        yield chooser.choice(users), random_uuid(chooser), options.now - ago


def _feedback(chooser: random.Random, user_id: str, conversation_id: str, when: datetime) -> dict[str, Any]:
    turn = chooser.choice(TURNS)
    sentiment, text = chooser.choice(FEEDBACK)
    return {
        "user_id": user_id,
        # The service writes UTC without a zone here, unlike in transcripts.
        "timestamp": str(when.replace(tzinfo=None)),
        "conversation_id": conversation_id,
        "user_question": turn.question,
        "llm_response": turn.answer,
        "sentiment": sentiment,
        "user_feedback": text,
    }


def _transcript(chooser: random.Random, user_id: str, conversation_id: str, when: datetime) -> dict[str, Any]:
    turn = chooser.choice(TURNS)
    provider, model = chooser.choice(MODELS)
    attachment = {"attachment_type": "log", "content_type": "text/plain", "content": ATTACHMENT}
    return {
        "metadata": {
            "provider": provider,
            "model": model,
            "user_id": user_id,
            "conversation_id": conversation_id,
            "mode": chooser.choice(["ask", "troubleshooting"]),
            "timestamp": when.isoformat(),
        },
        "redacted_query": turn.question,
        "llm_response": turn.answer,
        "rag_chunks": [{"text": turn.passage, "doc_url": turn.url, "doc_title": turn.title}],
        "truncated": chooser.random() < 0.1,
        "tool_calls": [],
        "attachments": [attachment] if chooser.random() < 0.3 else [],
    }
