"""Errors of the platform as HTTP answers, for services whose bodies are JSON."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger, redact
from headrace.web.listener import has_left
from headrace.web.parameters import BadParameter

_log = get_logger(__name__)


# What an error says of what was sent: enough to find it, whoever sent it.
_SHOWN_CHARACTERS: Final = 256
_SHOWN_ITEMS: Final = 10
_SHOWN_DEPTH: Final = 8
_SHOWN_IN_ALL: Final = 2048


def json_response(body: object, status: int = 200) -> web.Response:
    """A JSON answer; that of an error is cut to a few kilobytes, whatever of the request it repeats."""
    shown = body if status < HTTPStatus.BAD_REQUEST else excerpt(body)
    return web.Response(body=orjson.dumps(shown), status=status, content_type="application/json")


def excerpt(value: object) -> object:
    """The beginning of everything in it; what is short stays as it is."""
    return _Excerpt().of(value, _SHOWN_DEPTH)


class _Excerpt:
    def __init__(self) -> None:
        self._left = _SHOWN_IN_ALL

    def of(self, value: object, depth: int) -> object:
        self._left -= 4
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping | list | tuple) and value and (not depth or self._left <= 0):
            return "..."
        if isinstance(value, Mapping):
            chosen = islice(value.items(), _SHOWN_ITEMS)
            return {self._text(str(key)): self.of(inner, depth - 1) for key, inner in chosen}
        if isinstance(value, list | tuple):
            return [self.of(inner, depth - 1) for inner in islice(value, _SHOWN_ITEMS)]
        return value

    def _text(self, text: str) -> str:
        allowed = max(16, min(_SHOWN_CHARACTERS, self._left))
        self._left -= min(len(text), allowed)
        return text if len(text) <= allowed else f"{text[:allowed]}..."


def json_errors(
    body: Callable[[int, str], object],
) -> Middleware:
    """Middleware that answers every failure as ``body(status, message)`` in JSON.

    A parameter that cannot be used is a 400, an engine that is away a 503 with Retry-After. Any other exception is
    logged whole and answered with a 500 that says nothing of it. A client that hung up is left to the listener.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = json_response(body(error.status, error.text or error.reason), error.status)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except BadParameter as error:
            return json_response(body(400, str(error)), 400)
        except Retryable as error:
            _log.warning("engine_unavailable", path=request.path, reason=str(error))
            answer = json_response(body(503, redact(str(error))), 503)
            answer.headers["Retry-After"] = "5"
            return answer
        except Exception as error:
            if isinstance(error, ConnectionError) and has_left(request):
                raise
            _log.exception("unexpected_error", path=request.path)
            return json_response(body(500, HTTPStatus.INTERNAL_SERVER_ERROR.phrase), 500)

    return middleware
