"""Metrics of the ROS API, under upstream's names where it has them."""

import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram

from headrace.runtime.metrics import REGISTRY

CLIENT_ERRORS: Final = Counter(
    "rosocp_http_4xx", "Answers with a 4xx status", ["url", "http_code"], registry=REGISTRY
)
SERVER_ERRORS: Final = Counter("rosocp_http_5xx", "Answers with a 5xx status", registry=REGISTRY)
# Ours: time to the answer's last byte.
REQUEST_SECONDS: Final = Histogram(
    "rosocp_request_duration_seconds", "Duration of a request", ["url", "code"], registry=REGISTRY
)


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time every answer by its route, never by what a client wrote in the path."""
    started = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    url = resource.canonical if resource else "unmatched"
    REQUEST_SECONDS.labels(url, response.status).observe(time.perf_counter() - started)
    if response.status >= 500:
        SERVER_ERRORS.inc()
    elif response.status >= 400:
        CLIENT_ERRORS.labels(url, response.status).inc()
    return response
