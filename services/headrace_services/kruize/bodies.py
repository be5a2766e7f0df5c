"""JSON bodies of requests, with limits."""

import asyncio
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import web

from headrace.runtime.untrusted import Unreadable, load_json
from headrace_services.kruize.refusals import JSON_ERROR, Refused

# Enough for a hundred records of a hundred containers each.
_MAX_VALUES: Final = 1_500_000
# Stored values are encoded again, which needs stack for each level.
_MAX_DEPTH: Final = 32
# Longer bodies take so long to parse that a thread does it.
_LONG_BYTES: Final = 1 << 20


async def read_json(request: web.Request, *, max_depth: int = _MAX_DEPTH) -> Any:
    """Return the decoded body, whatever its content type is."""
    try:
        body = await request.read()
    except (web.RequestPayloadError, aiohttp.http_exceptions.HttpProcessingError) as error:
        raise Refused(JSON_ERROR) from error
    # A text column of PostgreSQL cannot store NUL, and no name contains one.
    if b"\\u0000" in body:
        raise Refused(JSON_ERROR)
    load = partial(load_json, body, max_values=_MAX_VALUES, max_depth=max_depth)
    try:
        return await asyncio.to_thread(load) if len(body) > _LONG_BYTES else load()
    except Unreadable:
        raise Refused(JSON_ERROR) from None
