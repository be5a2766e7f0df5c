"""Sends an answer while it arrives: server-sent events under ``application/json``, else plain text."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import orjson
from aiohttp import web

from headrace.runtime.logging import get_logger
from headrace_services.ols.bodies import JSON, TEXT
from headrace_services.ols.handlers import Question, Questions
from headrace_services.ols.refusals import Problem

_log = get_logger(__name__)

# A client that reads nothing for this long counts as disconnected.
_STALL_SECONDS: Final = 30.0


async def stream(request: web.Request, questions: Questions, question: Question) -> web.StreamResponse:
    """Send the answer piece by piece; errors are reported in the stream, because the status is already sent."""
    response = web.StreamResponse()
    response.content_type = question.sent.media_type or TEXT
    if response.content_type == TEXT:
        response.charset = "utf-8"
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    is_json = response.content_type == JSON
    parts = _events(questions, question) if is_json else _text(questions, question)
    try:
        await _write(response.prepare(request))
        async with aclosing(parts):
            async for part in parts:
                await _write(response.write(part))
        await _write(response.write_eof())
    except (ConnectionError, TimeoutError) as error:
        _log.info("client_gone", reason=type(error).__name__)
        _abort(request)
    except Exception:  # noqa: BLE001 -- logged whole; the status is out, all that is left is to end, visibly
        _log.exception("unexpected_error", path=request.path)
        _abort(request)
    return response


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _write(writing: Any) -> None:
    async with asyncio.timeout(_STALL_SECONDS):
        await writing


async def _text(questions: Questions, question: Question) -> AsyncGenerator[bytes, None]:
    pieces = questions.stream(question)
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece.encode()
    except Problem as found:
        yield f"{found.detail['response']}: {found.detail['cause']}".encode()


async def _events(questions: Questions, question: Question) -> AsyncGenerator[bytes, None]:
    yield _event("start", {"conversation_id": question.conversation_id})
    pieces, number = questions.stream(question), 0
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield _event("token", {"id": number, "token": piece})
                number += 1
    except Problem as found:
        yield _event("error", {"status_code": found.status, **found.detail})
        return
    ended = {
        "referenced_documents": [],
        "truncated": question.truncated,
        **question.tokens,
        "reasoning_tokens": 0,
    }
    yield _event("end", ended, available_quotas={})


def _event(name: str, data: dict[str, Any], **beside: Any) -> bytes:
    return b"data: " + orjson.dumps({"event": name, "data": data, **beside}) + b"\n\n"
