"""The ROS API's REST, compatible with upstream's, and the two routes of the ROS document."""

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from headrace.contracts.message import rfc3339_nano, utc_now
from headrace.database.pool import Record
from headrace.web.caller import IDENTITY_SCHEME
from headrace.web.errors import Refusal, json_errors, json_response
from headrace.web.operations import Answer, Dialect, Operation, Operations
from headrace.web.pages import page_links
from headrace.web.schemas import TEXT, reference
from headrace_services.ros_api import spreadsheet
from headrace_services.ros_api.api_outlook import SCHEMAS as OUTLOOK_SCHEMAS
from headrace_services.ros_api.api_outlook import Outlook
from headrace_services.ros_api.callers import identify
from headrace_services.ros_api.cors import allow_origin, preflight
from headrace_services.ros_api.listings import CONTAINERS, NAMESPACES, WORKLOADS, Collection
from headrace_services.ros_api.metrics import measure
from headrace_services.ros_api.parameters import (
    Listing,
    ListParameters,
    id_parameter,
    read_units,
    unit_parameters,
)
from headrace_services.ros_api.queries import one, selection
from headrace_services.ros_api.rbac import EVERYTHING, Access, Rbac
from headrace_services.ros_api.recommendations import shown
from headrace_services.ros_api.schemas import ERROR, SCHEMAS
from headrace_services.ros_api.settings import RosApiSettings
from headrace_services.ros_api.store import RosStore
from headrace_services.ros_api.streaming import Limits, answer
from headrace_services.ros_api.units import Units

_NO_CSV: Final = "CSV format is not supported. Please use application/json"
# What differs between containers and namespaces in the texts of errors.
_TEXTS: Final = {
    CONTAINERS.id: ("bad recommendation_id", "unable to fetch recommendation", "recommendation not found"),
    NAMESPACES.id: (
        "bad recommendation-id for project",
        "unable to fetch project recommendation",
        "project recommendation not found",
    ),
}
# The schema of one, and what a listing and a single one are.
_DESCRIPTIONS: Final = {
    CONTAINERS.id: ("Container", "Recommendations for containers", "The recommendation for a container"),
    NAMESPACES.id: ("Namespace", "Recommendations for namespaces", "The recommendation for a namespace"),
    WORKLOADS.id: ("Workload", "Workloads, including those without a recommendation", ""),
}
_HIDDEN: Final = "_pct"
_OPENSHIFT: Final = "/api/cost-management/v1/recommendations/openshift"
_ROS: Final = "/api/ros/v1"

_DIALECT: Final = Dialect(
    title="Resource optimization for OpenShift",
    version="v1",
    description="Workloads, and recommendations for their containers and namespaces",
    refusals={
        400: "a parameter is invalid; the message names it",
        401: "the identity is missing or cannot be read",
        403: "RBAC does not let the user see anything",
        404: "the recommendation does not exist",
        406: "this listing is not available as CSV",
        503: "PostgreSQL or RBAC is away; Retry-After says when to retry",
    },
    common_refusals=(401, 403, 503),
    error=ERROR,
    document_path=f"{_OPENSHIFT}/openapi.json",
    document_name="getOpenapi",
    schemas=SCHEMAS | OUTLOOK_SCHEMAS,
    security={"identity": IDENTITY_SCHEME},
    answers_head=False,
)

Item = Callable[[Record, Units], dict[str, Any]]


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on. Without ``rbac``, a tenant's callers see everything of its."""

    store: RosStore
    settings: RosApiSettings
    default_org_id: str = ""
    rbac: Rbac | None = None

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(middlewares=[measure, json_errors(error_body), preflight])
        app.on_response_prepare.append(allow_origin)
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation."""
        many, one_of = self._listing, self._single
        return Operations(
            _DIALECT,
            [
                Operation(
                    "GET",
                    "/status",
                    self.status,
                    "Check whether the API answers",
                    Answer(reference("Status")),
                    name="getStatus",
                    is_public=True,
                ),
                many(_OPENSHIFT, "getRecommendationList", CONTAINERS, is_of_month=True),
                many(f"{_OPENSHIFT}/container", "getContainerList", CONTAINERS, is_of_month=True),
                one_of(f"{_OPENSHIFT}/container", "getContainerById", CONTAINERS),
                many(f"{_OPENSHIFT}/namespace", "getNamespaceList", NAMESPACES, is_of_month=True),
                one_of(f"{_OPENSHIFT}/namespace", "getNamespaceById", NAMESPACES),
                one_of(_OPENSHIFT, "getRecommendationById", CONTAINERS),
                # The ROS document's sample is of 2023, and its curls name no dates.
                many(f"{_ROS}/recommendations", "getStoredRecommendations", CONTAINERS),
                many(f"{_ROS}/workloads", "getWorkloads", WORKLOADS),
                *Outlook(self.store, self._caller).operations(),
            ],
        )

    async def status(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return json_response({"api-server": "working"})

    @property
    def limits(self) -> Limits:
        """How long a client may take over a long answer."""
        return Limits(stall_seconds=self.settings.stall_seconds, stream_seconds=self.settings.stream_seconds)

    def _listing(
        self, path: str, name: str, collection: Collection, *, is_of_month: bool = False
    ) -> Operation:
        listing = Listing(collection, self.settings.max_values, is_of_month=is_of_month)
        has_csv = collection is CONTAINERS
        schema, summary, _ = _DESCRIPTIONS[collection.id]

        async def handle(request: web.Request) -> web.StreamResponse:
            org_id, access = await self._caller(request)
            now = utc_now().replace(microsecond=0)
            parameters = listing.read(request.query, request.headers.get("Accept", ""), now)
            if not parameters.csv:
                return await self._answer_json(request, collection, org_id, access, parameters)
            if not has_csv:
                raise Refusal(406, _NO_CSV)
            return await self._answer_csv(request, collection, org_id, access, parameters)

        return Operation(
            "GET",
            path,
            handle,
            f"{summary}, of this month by default" if is_of_month else summary,
            Answer(reference(f"{schema}s"), also={"text/csv": TEXT} if has_csv else {}),
            (400,) if has_csv else (400, 406),
            listing.parameters,
            name=name,
        )

    def _single(self, path: str, name: str, collection: Collection) -> Operation:
        schema, _, summary = _DESCRIPTIONS[collection.id]
        bad_id, unknown, empty = _TEXTS[collection.id]
        identifier = id_parameter(bad_id)

        async def handle(request: web.Request) -> web.Response:
            org_id, access = await self._caller(request)
            wanted = identifier.read(request.match_info)
            units = read_units(request.query, memory=collection.detail_memory)
            row = await self.store.row(*one(collection, org_id, access, wanted))
            if row is None:
                raise Refusal(404, unknown)
            item = _recommendation(row, units, plots=True)
            if not item["recommendations"]:
                raise Refusal(404, empty, body={"status": "not_found", "message": empty})
            return json_response(item)

        return Operation(
            "GET",
            f"{path}/{{{identifier.name}}}",
            handle,
            summary,
            Answer(reference(schema)),
            (400, 404),
            (identifier, *unit_parameters(collection.detail_memory)),
            name=name,
        )

    async def _caller(self, request: web.Request) -> tuple[str, Access]:
        caller = identify(request.headers, self.default_org_id)
        return caller.org_id, await self.rbac.access(caller) if self.rbac else EVERYTHING

    async def _answer_json(
        self,
        request: web.Request,
        collection: Collection,
        org_id: str,
        access: Access,
        parameters: ListParameters,
    ) -> web.StreamResponse:
        limit, offset = parameters.limit, parameters.offset
        size = self.settings.csv_stream_interval
        chosen = selection(collection, org_id, access, parameters, limit=limit)
        item = _workload if collection is WORKLOADS else _listed

        async def chunks() -> AsyncGenerator[bytes]:
            is_long = limit is None or limit > size
            async with self.store.reading(chosen, offset=offset, is_long=is_long) as reading:
                text = b'{"data":['
                separator = b""
                # One batch and the end are one chunk.
                async for rows in reading.batches(size):
                    if separator:
                        yield text
                        text = separator
                    text += b",".join(orjson.dumps(item(row, parameters.units)) for row in rows)
                    separator = b","
                count = await reading.count(limit)
            end = {
                "meta": {
                    "count": count.number,
                    "limit": -1 if limit is None else limit,
                    "offset": offset,
                    **count.note,
                },
                "links": page_links(
                    request.path, request.query.items(), count=count.number, limit=limit, offset=offset
                ),
            }
            yield text + b"]," + orjson.dumps(end)[1:]

        return await answer(request, chunks(), content_type="application/json", limits=self.limits)

    async def _answer_csv(
        self,
        request: web.Request,
        collection: Collection,
        org_id: str,
        access: Access,
        parameters: ListParameters,
    ) -> web.StreamResponse:
        limit = self.settings.record_limit_csv
        chosen = selection(collection, org_id, access, parameters, limit=limit)
        units = parameters.units

        async def chunks() -> AsyncGenerator[bytes]:
            async with self.store.reading(chosen, offset=parameters.offset, is_long=True) as reading:
                text = spreadsheet.header()
                first = True
                async for rows in reading.batches(self.settings.csv_stream_interval):
                    if not first:
                        yield text
                        text = b""
                    first = False
                    text += spreadsheet.lines(_listed(row, units) for row in rows)
            yield text

        name = f"recommendations-{utc_now():%Y%m%d}.csv"
        return await answer(
            request,
            chunks(),
            content_type="text/csv",
            headers={"Content-Disposition": f"attachment; filename={name}"},
            limits=self.limits,
        )


def error_body(status: int, message: str) -> dict[str, str]:
    """Upstream's error shapes: what the router itself says has no status."""
    phrase = HTTPStatus(status).phrase
    if message == f"{status}: {phrase}":
        return {"message": phrase}
    return {"status": "error", "message": message or phrase}


def _listed(row: Record, units: Units) -> dict[str, Any]:
    return _recommendation(row, units, plots=False)


def _recommendation(row: Record, units: Units, *, plots: bool) -> dict[str, Any]:
    item = _plain(row.items())
    stored = orjson.loads(row["recommendations"])
    item["recommendations"] = shown(stored, units, dict(row), plots=plots) if isinstance(stored, dict) else {}
    return item


def _workload(row: Record, _units: Units) -> dict[str, Any]:
    return _plain(row.items())


def _plain(columns: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _written(value) for name, value in columns if not name.endswith(_HIDDEN)}


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339_nano(value)
    return str(value) if isinstance(value, UUID) else value
