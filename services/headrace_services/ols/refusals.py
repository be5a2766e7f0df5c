"""Refusals in FastAPI's forms: ``{"detail": text}``, or ``{"detail": {"response", "cause"}}``."""

from http import HTTPStatus
from typing import Any

from headrace.web.errors import Refusal


class Problem(Refusal):
    """The refusal of a request; ``detail`` is for the client."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(status, str(status), body={"detail": detail})
        self.detail = detail


def problem(status: int, response: str, cause: str) -> Problem:
    """Return a refusal with a summary and its cause."""
    return Problem(status, {"response": response, "cause": cause})


def error_body(status: int, reason: str) -> dict[str, Any]:
    """Return the body of a refusal that was raised elsewhere."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"detail": {"response": "Service is not available", "cause": reason}}
    return {"detail": HTTPStatus(status).phrase}
