"""What goes wrong, in FastAPI's shapes: ``{"detail": text}``, or ``{"detail": {"response", "cause"}}``."""

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.web.errors import json_response

RETRY_SECONDS: Final = "5"


class Problem(Exception):
    """An answer other than success; ``detail`` is for the caller."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(str(status))
        self.status = status
        self.detail = detail


def problem(status: int, response: str, cause: str) -> Problem:
    """One with a summary and its cause."""
    return Problem(status, {"response": response, "cause": cause})


def error_body(status: int, text: str) -> dict[str, Any]:
    """For what is raised elsewhere."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"detail": {"response": "Service is not available", "cause": text}}
    return {"detail": HTTPStatus(status).phrase}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer problems."""
    try:
        return await handler(request)
    except Problem as found:
        answer = json_response({"detail": found.detail}, found.status)
        if found.status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer.headers["Retry-After"] = RETRY_SECONDS
        return answer
