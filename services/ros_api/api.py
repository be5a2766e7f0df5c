"""The ROS API's REST, as clients of upstream's know it, and the two routes of the ROS document."""

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.contracts.message import rfc3339_nano, utc_now
from headrace.database.pool import Record
from headrace.web.errors import json_errors, json_response
from services.ros_api import spreadsheet
from services.ros_api.cors import allow_origin, preflight
from services.ros_api.identity import identify
from services.ros_api.links import links
from services.ros_api.listings import CONTAINERS, NAMESPACES, WORKLOADS, Collection
from services.ros_api.metrics import measure
from services.ros_api.openapi import OPENSHIFT, ROS, document
from services.ros_api.parameters import ListParameters, bad, read_list, read_units
from services.ros_api.queries import one, parse_uuid, selection
from services.ros_api.rbac import EVERYTHING, Access, Rbac
from services.ros_api.recommendations import shown
from services.ros_api.settings import RosApiSettings
from services.ros_api.store import RosStore
from services.ros_api.streaming import Limits, answer
from services.ros_api.units import Units

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
_HIDDEN: Final = "_pct"
# The rest of the path, whatever it holds, as upstream's router takes it: a trailing slash makes it no UUID.
_ID: Final = "{recommendation_id:.+}"

Item = Callable[[Record, Units], dict[str, Any]]


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on. Without ``rbac``, a tenant's callers see everything of its."""

    store: RosStore
    settings: RosApiSettings
    default_org_id: str = ""
    rbac: Rbac | None = None

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(middlewares=[measure, json_errors(error_body), preflight])
        app.on_response_prepare.append(allow_origin)
        routes: dict[str, Handler] = {
            "/status": self.status,
            f"{OPENSHIFT}/openapi.json": self.openapi,
            OPENSHIFT: self._list(CONTAINERS, default_window=True, has_csv=True),
            f"{OPENSHIFT}/container": self._list(CONTAINERS, default_window=True, has_csv=True),
            f"{OPENSHIFT}/container/{_ID}": self._detail(CONTAINERS),
            f"{OPENSHIFT}/namespace": self._list(NAMESPACES, default_window=True),
            f"{OPENSHIFT}/namespace/{_ID}": self._detail(NAMESPACES),
            f"{OPENSHIFT}/{_ID}": self._detail(CONTAINERS),
            # The ROS document's sample is of 2023, and its curls name no dates.
            f"{ROS}/recommendations": self._list(CONTAINERS, has_csv=True),
            f"{ROS}/workloads": self._list(WORKLOADS),
        }
        for path, handler in routes.items():
            app.router.add_get(path, handler, allow_head=False)
        return app

    async def status(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return json_response({"api-server": "working"})

    async def openapi(self, _request: web.Request) -> web.Response:
        """This API's description."""
        return json_response(document(self.settings.max_values))

    @property
    def limits(self) -> Limits:
        """How long a client may take over a long answer."""
        return Limits(stall_seconds=self.settings.stall_seconds, stream_seconds=self.settings.stream_seconds)

    def _list(
        self, collection: Collection, *, default_window: bool = False, has_csv: bool = False
    ) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            org_id, access = await self._caller(request)
            parameters = read_list(
                request.query,
                request.headers.get("Accept", ""),
                collection,
                max_values=self.settings.max_values,
                now=utc_now().replace(microsecond=0) if default_window else None,
            )
            if not parameters.csv:
                return await self._answer_json(request, collection, org_id, access, parameters)
            if not has_csv:
                raise web.HTTPNotAcceptable(text=_NO_CSV)
            return await self._answer_csv(request, collection, org_id, access, parameters)

        return handle

    def _detail(self, collection: Collection) -> Handler:
        bad_id, unknown, empty = _TEXTS[collection.id]

        async def handle(request: web.Request) -> web.Response:
            org_id, access = await self._caller(request)
            identifier = parse_uuid(request.match_info["recommendation_id"])
            if identifier is None:
                raise bad(bad_id)
            units = read_units(request.query, memory=collection.detail_memory)
            row = await self.store.row(*one(collection, org_id, access, identifier))
            if row is None:
                raise web.HTTPNotFound(text=unknown)
            item = _recommendation(row, units, plots=True)
            if not item["recommendations"]:
                return json_response({"status": "not_found", "message": empty}, 404)
            return json_response(item)

        return handle

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
                "meta": {"count": count, "limit": -1 if limit is None else limit, "offset": offset},
                "links": links(request.path, request.query.items(), count=count, limit=limit, offset=offset),
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
