"""A span for each request, in the trace that its headers name."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from headrace.runtime import tracing


def traced(service: str, *, but: str) -> Middleware:
    """Return middleware that creates spans; ``but`` is the path of probes, which get no span."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == but:
            return await handler(request)
        # Spans are named after the route, because a client's path would give unlimited names.
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unmatched"
        with tracing.span(f"{service} {request.method} {route}", request.headers, kind="server"):
            response = await handler(request)
            tracing.annotate(**{"http.response.status_code": response.status})
            return response

    return middleware
