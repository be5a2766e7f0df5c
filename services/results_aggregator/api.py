"""The aggregator's REST, as clients of upstream's know it; nobody sees or changes what is another organisation's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from headrace.database.pool import Database
from headrace.runtime import metrics
from headrace.web.errors import json_errors, json_response
from services.results_aggregator.api_decisions import Decided
from services.results_aggregator.api_endpoints import PREFIXES, Endpoint, endpoints
from services.results_aggregator.api_reports import Reports
from services.results_aggregator.api_workloads import Workloads
from services.results_aggregator.auth import forbidden, identify
from services.results_aggregator.decisions import Decisions
from services.results_aggregator.openapi import document
from services.results_aggregator.parameters import MAX_BODY_BYTES, Asked, read_path
from services.results_aggregator.queries import Queries
from services.results_aggregator.rest_metrics import measure
from services.results_aggregator.settings import AggregatorSettings

# The forms that upstream's tables have.
_DATABASE_VERSION: Final = "32"
_WORKLOADS_DATABASE_VERSION: Final = "5"
# What a build says that was told nothing of itself.
_NOT_SET: Final = "*not set*"

Operation = Callable[[web.Request, Asked], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Api:
    """Every route. ``lenient`` believes a request without identity what organisation its path names."""

    database: Database
    settings: AggregatorSettings
    lenient: bool = False

    def application(self) -> web.Application:
        """Below both prefixes, with and without a slash at the end."""
        app = web.Application(
            middlewares=[measure, _in_go_form, json_errors(error_body)], client_max_size=MAX_BODY_BYTES
        )
        open_routes: dict[str, Handler] = {
            "info": self.info,
            "metrics": self.metrics,
            "openapi.json": self.openapi,
        }
        for prefix in PREFIXES:
            for path, handler in open_routes.items():
                _add(app, "GET", f"{prefix}/{path}", handler)
            for endpoint in endpoints(debug=self.settings.debug):
                path = f"{prefix}/{endpoint.path}".removesuffix("/")
                _add(app, endpoint.method, path, self._serving(self._operation(endpoint)))
        return app

    async def info(self, request: web.Request) -> web.Response:
        """What is running."""
        self._caller(request)
        about = {
            "BuildBranch": _NOT_SET,
            "BuildCommit": _NOT_SET,
            "BuildTime": _NOT_SET,
            "BuildVersion": version("headrace"),
            "UtilsVersion": version("headrace"),
            "DB_version": _DATABASE_VERSION,
            "OCP_DB_version": _DATABASE_VERSION,
            "DVO_DB_version": _WORKLOADS_DATABASE_VERSION,
        }
        return json_response({"status": "ok", "info": about})

    async def metrics(self, _request: web.Request) -> web.Response:
        """Everything of the process."""
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(self, _request: web.Request) -> web.Response:
        """This API's description."""
        settings = self.settings
        return json_response(
            document(debug=settings.debug, max_text_bytes=settings.maximum_feedback_message_length)
        )

    def _caller(self, request: web.Request) -> int | None:
        return identify(request.headers, lenient=self.lenient) if self.settings.auth else None

    def _operation(self, endpoint: Endpoint) -> Operation:
        queries, settings = Queries(self.database), self.settings
        groups = (
            Reports(queries, settings.org_overview_limit_hours),
            Decided(queries, Decisions(self.database), settings.maximum_feedback_message_length),
            Workloads(queries),
        )
        (found,) = (
            getattr(group, endpoint.operation) for group in groups if hasattr(group, endpoint.operation)
        )
        operation: Operation = found
        return operation

    def _serving(self, operation: Operation) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            caller = self._caller(request)
            asked = read_path(request.match_info, caller)
            if asked.org_id and caller is not None and asked.org_id != caller:
                raise forbidden(asked.org_id, caller)
            return json_response({"status": "ok"} | await operation(request, asked))

        return handle


def error_body(_status: int, message: str) -> dict[str, str]:
    """Upstream's error shape."""
    return {"status": message}


def _add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    for spelling in (path, f"{path}/"):
        app.router.add_route(method, spelling, handler)


@web.middleware
async def _in_go_form(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What upstream's router answers itself, and the type as its writer names it.

    A browser's question before the real one carries no identity.
    """
    refused = request.match_info.http_exception
    if isinstance(refused, web.HTTPNotFound):
        return web.Response(status=refused.status, text="404 page not found\n")
    if request.method == "OPTIONS" and isinstance(refused, web.HTTPMethodNotAllowed):
        return web.Response(headers={"Allow": refused.headers["Allow"]})
    response = await handler(request)
    if response.content_type == "application/json":
        response.charset = "utf-8"
    return response
