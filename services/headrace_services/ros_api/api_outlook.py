"""The handlers of Headrace's own routes: usage, polls and past recommendations."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from headrace.contracts.message import rfc3339, utc_now
from headrace.database.pool import Record
from headrace.web import schemas
from headrace.web.errors import Refusal, json_response
from headrace.web.operations import Answer, Operation, summary_of
from headrace.web.parameters import BadParameter, Custom, Parameter
from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    NUMBER,
    TEXT,
    Json,
    array,
    mapping,
    nullable,
    reference,
    whole,
)
from headrace_services.ros_api import outlook
from headrace_services.ros_api.parameters import parse_uuid, read_units, unit_parameters
from headrace_services.ros_api.rbac import Access
from headrace_services.ros_api.recommendations import shown
from headrace_services.ros_api.store import RosStore

_ROS: Final = "/api/ros/v1"
_NO_WORKLOAD: Final = "workload not found"
_NO_RECOMMENDATION: Final = "recommendation not found"


def _uuid(text: str) -> UUID:
    found = parse_uuid(text)
    if found is None:
        raise BadParameter("bad recommendation_id")
    return found


_RECOMMENDATION_ID: Final = Parameter(
    "recommendation_id", Custom(schemas.UUID, _uuid), UUID(int=0), where="path", is_required=True
)
_WORKLOAD: Final[dict[str, Json]] = {
    "workload_id": {"type": "integer", "format": "int64"},
    **dict.fromkeys(
        ("experiment_name", "project", "workload", "workload_type", "cluster_uuid", "cluster_alias"), TEXT
    ),
    "containers": array(TEXT),
    "metrics_upload_at": nullable(MOMENT),
    "last_reported": nullable(MOMENT),
}
_AMOUNT: Final = nullable(NUMBER)
SCHEMAS: Final[Json] = {
    "Usage": whole(
        workload=whole(**_WORKLOAD),
        start=MOMENT,
        end=MOMENT,
        is_cut=BOOLEAN | {"description": "older usage of the span is left out"},
        containers=mapping(
            array(whole(start=MOMENT, end=MOMENT, **dict.fromkeys(outlook.AMOUNTS, _AMOUNT))),
            description="cores and bytes of each container, or of the namespace, oldest first",
        ),
    ),
    "PolledWorkloads": whole(
        data=array(
            whole(
                **_WORKLOAD,
                has_recommendation=BOOLEAN,
                last_poll={
                    "anyOf": [
                        whole(
                            at=MOMENT,
                            end=MOMENT | {"description": "the poll is for usage up to then"},
                            kind=TEXT | {"enum": ["stored", "not_enough_data", "no_usage", "none"]},
                            outcome=TEXT,
                            minutes=nullable(COUNT),
                            minutes_needed=nullable(COUNT),
                        ),
                        {"type": "null"},
                    ]
                },
            )
        ),
        next=nullable(TEXT),
    ),
    "PastRecommendations": whole(
        data=array(
            whole(
                monitoring_start_time=MOMENT,
                monitoring_end_time=MOMENT,
                recommendations=reference("Recommendation"),
            )
        ),
        next=nullable(TEXT),
    ),
}


@dataclass(frozen=True)
class Outlook:
    """Handlers. ``caller`` tells the organisation of a request, and what RBAC lets its user see."""

    store: RosStore
    caller: Callable[[web.Request], Awaitable[tuple[str, Access]]]

    def operations(self) -> list[Operation]:
        """Every operation."""

        def get(name: str, path: str, handler: Any, schema: str, parameters: Any, *more: int) -> Operation:
            return Operation(
                "GET",
                f"{_ROS}{path}",
                handler,
                summary_of(handler),
                Answer(reference(schema)),
                (400, *more),
                parameters,
                name=name,
            )

        units = unit_parameters("MiB")
        return [
            get(
                "getPolledWorkloads",
                "/headrace/workloads",
                self.polled_workloads,
                "PolledWorkloads",
                outlook.POLLED_PARAMETERS,
            ),
            get(
                "getUsage",
                "/workloads/{workload_id}/usage",
                self.usage,
                "Usage",
                outlook.USAGE_PARAMETERS,
                404,
            ),
            get(
                "getPastRecommendations",
                "/recommendations/{recommendation_id}/history",
                self.past_recommendations,
                "PastRecommendations",
                (_RECOMMENDATION_ID, *outlook.HISTORY_PARAMETERS, *units),
                404,
            ),
        ]

    async def polled_workloads(self, request: web.Request) -> web.Response:
        """Workloads with what came of their last poll for recommendations, the newest first."""
        org_id, access = await self.caller(request)
        rows = await self.store.rows(*outlook.polled(request.query, org_id, access))
        page, after = outlook.page_of(rows, request.query)
        data = [
            _workload(row) | {"has_recommendation": row["has_recommendation"], "last_poll": _poll(row)}
            for row in page
        ]
        return json_response({"data": data, "next": after and outlook.POLLED_CURSOR.write(after)})

    async def usage(self, request: web.Request) -> web.Response:
        """The usage of a workload, for charts."""
        org_id, access = await self.caller(request)
        row = await self.store.row(
            *outlook.workload(org_id, access, outlook.WORKLOAD_ID.read(request.match_info))
        )
        if row is None:
            raise Refusal(404, _NO_WORKLOAD)
        span = outlook.span(request.query, row["metrics_upload_at"], utc_now())
        container, points = outlook.CONTAINER.read(request.query), outlook.POINTS.read(request.query)
        rows = await self.store.rows(*outlook.usage(row, span, container))
        containers, is_cut = outlook.series(rows, points)
        shown_containers = {
            name: [point | {part: rfc3339(point[part]) for part in ("start", "end")} for point in series]
            for name, series in containers.items()
        }
        return json_response(
            {
                "workload": _workload(row),
                "start": rfc3339(span.start),
                "end": rfc3339(span.end),
                "is_cut": is_cut,
                "containers": shown_containers,
            }
        )

    async def past_recommendations(self, request: web.Request) -> web.Response:
        """The recommendations that a container or namespace had, the newest first."""
        org_id, access = await self.caller(request)
        identifier, units = (
            _RECOMMENDATION_ID.read(request.match_info),
            read_units(request.query, memory="MiB"),
        )
        for kind in ("container", "namespace"):
            whose = await self.store.row(*outlook.recommended(kind, org_id, access, identifier))
            if whose is not None:
                rows = await self.store.rows(*outlook.history(kind, whose, request.query))
                break
        else:
            raise Refusal(404, _NO_RECOMMENDATION)
        limit = outlook.LIMIT.read(request.query)
        page = rows[:limit]
        data = [
            {
                "monitoring_start_time": rfc3339(row["monitoring_start_time"]),
                "monitoring_end_time": rfc3339(row["monitoring_end_time"]),
                "recommendations": shown(orjson.loads(row["recommendations"]), units, {}, plots=False),
            }
            for row in page
        ]
        end = outlook.HISTORY_CURSOR.write(page[-1]["monitoring_end_time"]) if len(rows) > limit else None
        return json_response({"data": data, "next": end})


def _workload(row: Record) -> dict[str, Any]:
    moments = ("metrics_upload_at", "last_reported")
    told = {name: row[name] for name in _WORKLOAD if name not in moments}
    return told | {name: rfc3339(row[name]) if row[name] else None for name in moments}


def _poll(row: Record) -> dict[str, Any] | None:
    if row["polled_at"] is None:
        return None
    return {
        "at": rfc3339(row["polled_at"]),
        "end": rfc3339(row["usage_end"]),
        **{name: row[name] for name in ("kind", "outcome", "minutes", "minutes_needed")},
    }
