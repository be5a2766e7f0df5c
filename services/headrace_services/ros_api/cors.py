"""CORS: any page may read the API."""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_METHODS: Final = hdrs.METH_GET


async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer varies by its origin, and is open to any."""
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    if hdrs.ORIGIN in request.headers:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"


@web.middleware
async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what a browser asks before its request, on every path."""
    if request.method != hdrs.METH_OPTIONS:
        return await handler(request)
    response = web.Response(status=204)
    if isinstance(error := request.match_info.http_exception, web.HTTPMethodNotAllowed):
        response.headers[hdrs.ALLOW] = ", ".join((hdrs.METH_OPTIONS, *sorted(error.allowed_methods)))
    if hdrs.ORIGIN in request.headers:
        response.headers.add(hdrs.VARY, hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        response.headers.add(hdrs.VARY, hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _METHODS
        if asked := request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
    return response
