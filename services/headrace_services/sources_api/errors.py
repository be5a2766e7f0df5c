"""What a caller can do wrong, and how it is told."""

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler


class Problem(Exception):
    """An answer other than success; ``detail`` is for the caller."""

    status = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Invalid(Problem):
    """The request cannot be carried out as it is."""

    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(f"bad request: {reason}")


class Unfit(Invalid):
    """The body's content is not acceptable."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Validation failed: {reason}")


class NotFound(Problem):
    """It is not there, or another tenant's."""

    status = 404

    def __init__(self, singular: str) -> None:
        super().__init__(f"{singular} not found")


class Unauthorized(Problem):
    """Who asks is unknown or may not."""

    status = 401


class MethodRefused(Problem):
    """Not by this kind of identity."""

    status = 405


def error_body(status: int, detail: str) -> dict[str, Any]:
    """Upstream's error shape."""
    return {"errors": [{"detail": detail, "status": str(status)}]}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let problems reach the outer middleware as HTTP errors."""
    try:
        return await handler(request)
    except Problem as problem:
        if isinstance(problem, MethodRefused):
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST"], text=problem.detail) from None
        kinds = {400: web.HTTPBadRequest, 401: web.HTTPUnauthorized, 404: web.HTTPNotFound}
        raise kinds[problem.status](text=problem.detail) from None
