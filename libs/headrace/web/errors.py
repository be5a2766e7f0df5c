"""Errors of the platform as HTTP answers, for services whose bodies are JSON."""

from collections.abc import Callable
from http import HTTPStatus

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger, redact
from headrace.web.listener import has_left

_log = get_logger(__name__)


def json_response(body: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def json_errors(
    body: Callable[[int, str], object],
) -> Middleware:
    """Middleware that answers every failure as ``body(status, message)`` in JSON.

    An engine that is away is a 503 with Retry-After; what we did not foresee is logged whole, and a 500 that says
    nothing of us. A client that hung up is left to the listener.
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
