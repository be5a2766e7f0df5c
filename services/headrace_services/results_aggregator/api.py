"""The aggregator's REST, as clients of upstream's know it; nobody sees or changes what is another organisation's."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from headrace.database.pool import Database
from headrace.runtime import metrics
from headrace.web.errors import json_errors, json_response
from headrace.web.operations import Answer, Operation, Operations
from headrace.web.schemas import TEXT, mapping
from headrace_services.results_aggregator.api_decisions import Decided
from headrace_services.results_aggregator.api_operations import DIALECT, Answering, Rows
from headrace_services.results_aggregator.api_reports import Reports
from headrace_services.results_aggregator.api_schemas import ok
from headrace_services.results_aggregator.api_workloads import Workloads
from headrace_services.results_aggregator.auth import forbidden, identify
from headrace_services.results_aggregator.bodies import MAX_BODY_BYTES
from headrace_services.results_aggregator.decisions import Decisions
from headrace_services.results_aggregator.parameters import read_path
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.rest_metrics import measure
from headrace_services.results_aggregator.settings import AggregatorSettings

# The forms that upstream's tables have.
_DATABASE_VERSION: Final = "32"
_WORKLOADS_DATABASE_VERSION: Final = "5"
# What the build's branch, commit and time are where nobody set them.
_NOT_SET: Final = "*not set*"


@dataclass(frozen=True)
class Api:
    """Every route. With ``lenient`` a request without identity is taken as the organisation's that its path names."""

    database: Database
    settings: AggregatorSettings
    lenient: bool = False

    def application(self) -> web.Application:
        """Below both prefixes, with and without a slash at the end."""
        app = web.Application(
            middlewares=[measure, _in_go_form, json_errors(error_body)], client_max_size=MAX_BODY_BYTES
        )
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Every operation; those for debugging only in debug mode."""
        queries, settings = Queries(self.database), self.settings
        rows = Rows(
            Reports(queries, settings.org_overview_limit_hours),
            Decided(queries, Decisions(self.database), settings.maximum_feedback_message_length),
            Workloads(queries),
            self._serving,
        )
        prometheus = Answer(TEXT, media_type="text/plain")
        return Operations(
            DIALECT,
            [
                Operation("GET", "/info", self.info, "What is running", Answer(ok(info=mapping(TEXT)))),
                Operation(
                    "GET",
                    "/metrics",
                    self.metrics,
                    "Metrics in Prometheus' text format",
                    prometheus,
                    is_public=True,
                ),
                *rows.reading(),
                *rows.deciding(),
                *(rows.debugging() if settings.debug else ()),
            ],
        )

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
        """The metrics of the process."""
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _caller(self, request: web.Request) -> int | None:
        return identify(request.headers, lenient=self.lenient) if self.settings.auth else None

    def _serving(self, answering: Answering) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            caller = self._caller(request)
            asked = read_path(request.match_info, caller)
            if asked.org_id and caller is not None and asked.org_id != caller:
                raise forbidden(asked.org_id, caller)
            return json_response({"status": "ok"} | await answering(request, asked))

        return handle


def error_body(_status: int, message: str) -> dict[str, str]:
    """Upstream's error shape."""
    return {"status": message}


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
