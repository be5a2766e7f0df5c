"""Metrics of the REST side, under upstream's names and, as there, exported without ``_total``."""

import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Gauge, Histogram

from headrace_services.results_aggregator.metrics import OWN

_MICROSECONDS: Final = tuple(step * 10**power for power in range(2, 7) for step in (1, 2, 5))

REQUESTS: Final = Gauge("api_endpoints_requests", "Requests by route", ["endpoint"], registry=OWN)
# Upstream's unit.
RESPONSE_TIME: Final = Histogram(
    "api_endpoints_response_time",
    "Time of one answer, microseconds",
    ["endpoint"],
    buckets=_MICROSECONDS,
    registry=OWN,
)
STATUS_CODES: Final = Gauge(
    "api_endpoints_status_codes", "Answers by status code", ["status_code"], registry=OWN
)
FEEDBACK: Final = Gauge("feedback_on_rules", "Votes and reasons for disabling that were stored", registry=OWN)
RATINGS: Final = Gauge("rating_on_rules", "Ratings that were stored", registry=OWN)


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time every answer by its route, never by what a client wrote in the path."""
    began = time.perf_counter()
    resource = request.match_info.route.resource
    endpoint = resource.canonical if resource else "unmatched"
    REQUESTS.labels(endpoint).inc()
    response = await handler(request)
    RESPONSE_TIME.labels(endpoint).observe((time.perf_counter() - began) * 1e6)
    STATUS_CODES.labels(response.status).inc()
    return response
