"""Errors as HTTP answers, for services with JSON bodies."""

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

_RETRY_SECONDS: Final = "5"
# An error repeats so much of a sent text: enough to find it.
_SHOWN_CHARACTERS: Final = 256
_SHOWN_ITEMS: Final = 10
_SHOWN_DEPTH: Final = 8
_SHOWN_IN_ALL: Final = 2048


def json_response(body: object, status: int = 200) -> web.Response:
    """Return a JSON answer; an error answer is cut to a few kilobytes, whatever it repeats from the request."""
    shown = body if status < HTTPStatus.BAD_REQUEST else excerpt(body)
    return web.Response(body=orjson.dumps(shown), status=status, content_type="application/json")


def excerpt(value: object) -> object:
    """Return the value with every text cut to its beginning; short texts are unchanged."""
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


class Refusal(Exception):
    """The refusal of a request: raise it with a status and the reason, and the API answers in its own form.

    ``body`` replaces the API's usual form if the answer contains more than the reason.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self.body = body


def json_errors(
    body: Callable[[int, str], object], *, bad_requests: tuple[type[Exception], ...] = ()
) -> Middleware:
    """Return middleware that answers every failure as ``body(status, reason)`` in JSON.

    An invalid parameter is a 400, as are the service's own exceptions in ``bad_requests``; an engine that is away is a
    503 with Retry-After. Any other exception is logged and answered with a 500 that reveals nothing of it. The listener
    handles clients that disconnected.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:
            if isinstance(error, ConnectionError) and has_left(request):
                raise
            if isinstance(error, web.HTTPException) and error.status < HTTPStatus.BAD_REQUEST:
                raise
            refusal = _refusal_of(error, request, (BadParameter, *bad_requests))
        shown = body(refusal.status, refusal.reason) if refusal.body is None else refusal.body
        answer = json_response(shown, refusal.status)
        answer.headers.update(refusal.headers)
        if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer.headers["Retry-After"] = _RETRY_SECONDS
        return answer

    return middleware


def _refusal_of(error: Exception, request: web.Request, bad_requests: tuple[type[Exception], ...]) -> Refusal:
    match error:
        case Refusal():
            return error
        case web.HTTPException():
            # aiohttp's own errors, such as an unknown route or a body that is too long.
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return Refusal(error.status, error.text or error.reason, headers=allow)
        case Retryable():
            _log.warning("engine_unavailable", path=request.path, reason=str(error))
            return Refusal(503, redact(str(error)))
    if isinstance(error, bad_requests):
        return Refusal(400, str(error))
    _log.exception("unexpected_error", path=request.path, exc_info=error)
    return Refusal(500, HTTPStatus.INTERNAL_SERVER_ERROR.phrase)
