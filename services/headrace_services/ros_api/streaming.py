"""Answers of any length in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from headrace.runtime.logging import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class Limits:
    """How long a client may take over one chunk, and over all of them."""

    stall_seconds: float
    stream_seconds: float


async def answer(
    request: web.Request,
    chunks: AsyncGenerator[bytes],
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    limits: Limits,
) -> web.StreamResponse:
    """Send chunks as they come. One chunk is a whole answer, so that what fails before it is an error status.

    What fails later cuts the connection: a client must not take a part for the whole.
    """
    async with aclosing(chunks):
        first = await anext(chunks)
        second = await anext(chunks, None)
        if second is None:
            return web.Response(body=first, content_type=content_type, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.content_type = content_type
        try:
            async with asyncio.timeout(limits.stream_seconds):
                await response.prepare(request)
                for chunk in (first, second):
                    await _write(response, chunk, limits)
                async for chunk in chunks:
                    await _write(response, chunk, limits)
                await response.write_eof()
        except Exception as error:  # noqa: BLE001 -- the status is sent: all that is left is to end, visibly
            _log.warning("answer_cut", path=request.path, reason=str(error) or type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        return response


async def _write(response: web.StreamResponse, chunk: bytes, limits: Limits) -> None:
    async with asyncio.timeout(limits.stall_seconds):
        await response.write(chunk)
