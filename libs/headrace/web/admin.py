"""The listener for probes and scrapes: ``/metrics``, ``/health/live``, ``/health/ready``, ``/health``."""

from collections.abc import Mapping

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from headrace.runtime import metrics
from headrace.runtime.health import Health


async def scrape(_request: web.Request) -> web.Response:
    """Metrics in Prometheus' text format."""
    return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def admin_app(healths: Mapping[str, Health]) -> web.Application:
    """Return the app with the metrics of the process and the health of each service in it."""

    async def lubdub(_request: web.Request) -> web.Response:
        return web.Response(text="lubdub")

    async def report(_request: web.Request) -> web.Response:
        checks = {name: health.report() for name, health in healths.items()}
        ready = not any(health.problems for health in healths.values())
        facts = {
            name: {about: fact() for about, fact in health.facts.items()}
            for name, health in healths.items()
            if health.facts
        }
        starting = [name for name, health in healths.items() if health.is_starting]
        body = {"ready": ready, "services": checks}
        body |= {name: found for name, found in (("starting", starting), ("facts", facts)) if found}
        return web.Response(
            body=orjson.dumps(body, option=orjson.OPT_INDENT_2),
            status=200 if ready else 503,
            content_type="application/json",
        )

    app = web.Application()
    app.router.add_get("/", lubdub)
    app.router.add_get("/metrics", scrape)
    app.router.add_get("/health/live", lubdub)
    app.router.add_get("/health/ready", report)
    app.router.add_get("/health", report)
    return app
