"""Headrace's own reads: a workload's usage, what came of its last poll, and past recommendations. SQL of ours only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from headrace.contracts import kruize
from headrace.database.conditions import Where, literal
from headrace.database.pool import Record
from headrace.web.cursors import Cursor
from headrace.web.parameters import BadParameter, Choice, Custom, Integer, Parameter, Text
from headrace.web.schemas import MOMENT
from headrace_services.ros_api.listings import CONTAINERS, NAMESPACES, WORKLOADS, Collection
from headrace_services.ros_api.queries import visible
from headrace_services.ros_api.rbac import Access
from headrace_services.ros_api.units import is_number

_DEFAULT_DAYS, _MOST_DAYS = 15, 31
# Of one answer: a month of two containers.
_MAX_ROWS: Final = 6000
_POINTS: Final = 1440
# Where no index finds what a filter asks for, so many workloads are looked at for a page, which may be short then.
_WINDOW: Final = 2000
_MAX_ID: Final = 2**63 - 1


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"got {text[:64]!r}, expected RFC 3339 or a date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


WORKLOAD_ID: Final = Parameter("workload_id", Integer(1, _MAX_ID), 0, where="path", is_required=True)
START: Final = Parameter("start", Custom(MOMENT, _moment), None, "15 days before the end by default")
END: Final = Parameter("end", Custom(MOMENT, _moment), None, "the end of the newest usage by default")
CONTAINER: Final = Parameter("container", Text(), "", "one container (or the namespace); all by default")
POINTS: Final = Parameter(
    "points", Integer(1, _POINTS), _POINTS, "at most so many for each container; neighbours are merged"
)
USAGE_PARAMETERS: Final[tuple[Parameter[Any], ...]] = (WORKLOAD_ID, START, END, CONTAINER, POINTS)

LIMIT: Final = Parameter("limit", Integer(1, 100), 50)
CLUSTER: Final = Parameter("cluster", Text(), "", "the cluster's UUID")
PROJECT: Final = Parameter("project", Text(), "", "contained in the project's name")
WORKLOAD: Final = Parameter("workload", Text(), "", "contained in the workload's name")
HAS_RECOMMENDATION: Final = Parameter("has_recommendation", Choice(("true", "false")), "")
POLLED_CURSOR: Final = Cursor((int,))
POLLED_PARAMETERS: Final[tuple[Parameter[Any], ...]] = (
    CLUSTER, PROJECT, WORKLOAD, HAS_RECOMMENDATION, LIMIT, POLLED_CURSOR.parameter,
)  # fmt: skip
HISTORY_CURSOR: Final = Cursor((datetime,))
HISTORY_PARAMETERS: Final[tuple[Parameter[Any], ...]] = (LIMIT, HISTORY_CURSOR.parameter)

# Kruize's metric, what of it, and the name that it is shown under. Namespaces' metrics have a prefix.
_AMOUNTS: Final = (
    (kruize.CPU_REQUEST, "avg", "cpu_request"),
    (kruize.CPU_LIMIT, "avg", "cpu_limit"),
    (kruize.CPU_USAGE, "avg", "cpu_usage_avg"),
    (kruize.CPU_USAGE, "min", "cpu_usage_min"),
    (kruize.CPU_USAGE, "max", "cpu_usage_max"),
    (kruize.CPU_THROTTLE, "avg", "cpu_throttle_avg"),
    (kruize.MEMORY_REQUEST, "avg", "memory_request"),
    (kruize.MEMORY_LIMIT, "avg", "memory_limit"),
    (kruize.MEMORY_USAGE, "avg", "memory_usage_avg"),
    (kruize.MEMORY_USAGE, "min", "memory_usage_min"),
    (kruize.MEMORY_USAGE, "max", "memory_usage_max"),
    (kruize.MEMORY_RSS, "avg", "memory_rss_avg"),
)
AMOUNTS: Final = tuple(shown for _, _, shown in _AMOUNTS)
_TOTALS: Final = {"cpu_request", "cpu_limit", "memory_request", "memory_limit"}

_COLUMNS: Final = (
    "w.id as workload_id, w.experiment_name, w.namespace as project, coalesce(w.workload_name, '') as workload,"
    " coalesce(w.workload_type::text, '') as workload_type, coalesce(w.containers, '{}') as containers,"
    " w.metrics_upload_at, w.org_id, c.cluster_uuid, c.cluster_alias, c.last_reported_at as last_reported"
)
_USAGE: Final = """
select coalesce(container_name, namespace_name, '') as name, interval_start, interval_end, usage_metrics
from workload_metrics
where org_id = $1 and workload_id = $2 and interval_end > $3 and interval_end <= $4
    and ($5 = '' or container_name = $5 or (container_name is null and namespace_name = $5))
order by interval_end desc limit $6
"""
_HISTORY: Final = """
select monitoring_start_time, monitoring_end_time, recommendations from {table}
where org_id = $1 and workload_id = $2 and {name} = $3 and monitoring_end_time < $4
order by monitoring_end_time desc limit $5
"""
_HISTORIES: Final[Mapping[str, tuple[Collection, str, str, str]]] = {
    "container": (CONTAINERS, "historical_recommendation_sets", "container_name", "r.container_name"),
    "namespace": (
        NAMESPACES, "historical_namespace_recommendation_sets", "namespace_name", "n.namespace_name",
    ),
}  # fmt: skip

Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Span:
    """A span of usage."""

    start: datetime
    end: datetime


def workload(org_id: str, access: Access, workload_id: int) -> Statement:
    """The statement for one workload."""
    where = visible(WORKLOADS, org_id, access)
    where.compare("w.id", "=", workload_id)
    return f"select {_COLUMNS} from {WORKLOADS.tables} where {where.text}", tuple(where.arguments)  # noqa: S608 -- ours


def span(query: Mapping[str, str], newest: datetime | None, now: datetime) -> Span:
    """The span that a query asks for; raises `BadParameter`."""
    end = END.read(query) or newest or now
    start = START.read(query)
    try:
        start = start or end - timedelta(days=_DEFAULT_DAYS)
        is_fit = timedelta() < end - start <= timedelta(days=_MOST_DAYS)
    except OverflowError:
        is_fit = False
    if start is None or not is_fit:
        raise BadParameter(f"start: must be before the end, by at most {_MOST_DAYS} days")
    return Span(start, end)


def usage(row: Record, within: Span, container: str) -> Statement:
    """The statement for a workload's usage, the newest first."""
    arguments = (row["org_id"], row["workload_id"], within.start, within.end, container, _MAX_ROWS + 1)
    return _USAGE, arguments


def series(rows: Sequence[Record], points: int) -> tuple[dict[str, list[dict[str, Any]]], bool]:
    """The usage of each container, oldest first, and whether some is left out."""
    is_cut = len(rows) > _MAX_ROWS
    found: dict[str, list[dict[str, Any]]] = {}
    for row in reversed(rows[:_MAX_ROWS]):
        found.setdefault(row["name"], []).append(_point(row))
    return {name: _merged(intervals, points) for name, intervals in sorted(found.items())}, is_cut


def _point(row: Record) -> dict[str, Any]:
    told = {
        _plain(metric.get("name")): metric.get("results", {}).get("aggregation_info", {})
        for metric in orjson.loads(row["usage_metrics"])
        if isinstance(metric, dict)
    }
    point: dict[str, Any] = {"start": row["interval_start"], "end": row["interval_end"]}
    for metric, part, shown in _AMOUNTS:
        info = told.get(metric.name.lower(), {})
        # What is requested is told as a sum over pods and as the average of one.
        value = info.get(part, info.get("sum") if shown in _TOTALS else None)
        point[shown] = _number(value)
    return point


def _plain(name: Any) -> str:
    return str(name).lower().removeprefix("namespace")


def _number(value: Any) -> float | None:
    if is_number(value):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _merged(intervals: list[dict[str, Any]], points: int) -> list[dict[str, Any]]:
    size = -(-len(intervals) // points)
    if size <= 1:
        return intervals
    return [_one(intervals[at : at + size]) for at in range(0, len(intervals), size)]


def _one(intervals: list[dict[str, Any]]) -> dict[str, Any]:
    point: dict[str, Any] = {"start": intervals[0]["start"], "end": intervals[-1]["end"]}
    for name in AMOUNTS:
        values = [item[name] for item in intervals if item[name] is not None]
        if not values:
            point[name] = None
        elif name.endswith("_max"):
            point[name] = max(values)
        elif name.endswith("_min"):
            point[name] = min(values)
        else:
            point[name] = sum(values) / len(values)
    return point


def polled(query: Mapping[str, str], org_id: str, access: Access) -> Statement:
    """The statement for the newest workloads with what came of their last polls; one row more than a page has."""
    where = visible(WORKLOADS, org_id, access)
    if cluster := CLUSTER.read(query):
        where.compare("c.cluster_uuid", "=", cluster)
    for parameter, column in ((PROJECT, "w.namespace"), (WORKLOAD, "w.workload_name")):
        if text := parameter.read(query):
            where.compare(column, "ilike", f"%{literal(text)}%")
    if after := POLLED_CURSOR.parameter.read(query):
        where.compare("w.id", "<", after[0])
    return _polled(where, _WINDOW if HAS_RECOMMENDATION.read(query) else LIMIT.read(query))


def _polled(where: Where, window: int) -> Statement:
    has = (
        "exists (select from recommendation_sets r where r.workload_id = found.workload_id)"
        " or exists (select from namespace_recommendation_sets n where n.workload_id = found.workload_id)"
    )
    statement = (
        f"select found.*, ({has}) as has_recommendation, o.polled_at, o.usage_end, o.kind, o.outcome, o.minutes,"  # noqa: S608 -- ours
        f" o.minutes_needed from (select {_COLUMNS} from {WORKLOADS.tables} where {where.text}"
        f" order by w.id desc limit {window + 1}) as found"
        " left join poll_outcomes o on o.workload_id = found.workload_id order by found.workload_id desc"
    )
    return statement, tuple(where.arguments)


def page_of(rows: Sequence[Record], query: Mapping[str, str]) -> tuple[list[Record], int | None]:
    """The rows of a page, and the workload after which the next begins."""
    limit, wanted = LIMIT.read(query), HAS_RECOMMENDATION.read(query)
    window = _WINDOW if wanted else limit
    seen, is_more = rows[:window], len(rows) > window
    chosen = [row for row in seen if not wanted or row["has_recommendation"] == (wanted == "true")]
    if len(chosen) > limit:
        return chosen[:limit], chosen[limit - 1]["workload_id"]
    return chosen, seen[-1]["workload_id"] if is_more else None


def recommended(kind: str, org_id: str, access: Access, identifier: UUID) -> Statement:
    """The statement for whose recommendation an id is: a container's or a namespace's."""
    collection, _, _, name = _HISTORIES[kind]
    where = visible(collection, org_id, access)
    where.compare(collection.id, "=", identifier)
    columns = f"w.org_id, w.id as workload_id, {name} as name"
    return f"select {columns} from {collection.tables} where {where.text}", tuple(where.arguments)  # noqa: S608 -- ours


def history(kind: str, row: Record, query: Mapping[str, str]) -> Statement:
    """The statement for past recommendations; one row more than a page has."""
    _, table, name, _ = _HISTORIES[kind]
    after = HISTORY_CURSOR.parameter.read(query)
    before = after[0] if after else datetime(9999, 12, 31, tzinfo=UTC)
    arguments = (row["org_id"], row["workload_id"], row["name"], before, LIMIT.read(query) + 1)
    return _HISTORY.format(table=table, name=name), arguments
