"""Recommendations: what containers should ask for and why, and the workloads for which there is none yet."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from headrace.contracts.kruize import RESOURCES
from headrace.objects.store import OCTETS
from headrace.web.errors import Refusal
from headrace.web.parameters import Choice, Integer, Parameter, Text
from headrace_services.console.advice import ENGINE_NAMES, TERM_NAMES, advice_of, choices_of, manifest
from headrace_services.console.api_clusters import CURSOR
from headrace_services.console.callers import Viewer
from headrace_services.console.peers import RosApi
from headrace_services.console.site import Site
from headrace_services.console.sources import Panel, panel
from headrace_services.console.usage import chart_of

_PAGE: Final = 50
# Two to a pixel of the chart are of no use.
_POINTS: Final = 240
_HISTORY: Final = 20
_MAX_NAME: Final = 253
# The orders of the list: what ros_api sorts by, in which direction, and how people call it. ``{}`` is term and engine.
SORTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "newest": ("last_reported", "desc", "last reported"),
    "project": ("project", "asc", "project"),
    "workload": ("workload", "asc", "workload"),
    "type": ("workload_type", "asc", "type"),
    "container": ("container", "asc", "container"),
    "cluster": ("cluster", "asc", "cluster"),
    "cpu_saved": ("cpu_variation_{}", "asc", "largest share of CPU saved"),
    "cpu_needed": ("cpu_variation_{}", "desc", "largest share of CPU needed"),
    "memory_saved": ("memory_variation_{}", "asc", "largest share of memory saved"),
    "memory_needed": ("memory_variation_{}", "desc", "largest share of memory needed"),
}
ID: Final = Parameter("recommendation_id", Text(min_characters=1, max_bytes=64), "", where="path")
TERM: Final = Parameter("term", Choice(TERM_NAMES), "", "over how long usage counts; the shortest by default")
ENGINE: Final = Parameter(
    "engine", Choice(ENGINE_NAMES), "", "what the recommendation aims at; cost by default"
)
_NAMES: Final = tuple(
    Parameter(name, Text(max_bytes=_MAX_NAME), "", f"contained in the {what}")
    for name, what in (
        ("project", "project's name"),
        ("workload", "workload's name"),
        ("container", "container's name"),
        ("cluster", "cluster's alias, or its UUID"),
    )
)
_SORT: Final = Parameter("sort", Choice(tuple(SORTS)), "", "last reported first by default")
_OFFSET: Final = Parameter("offset", Integer(0, 10**9), 0, "how many come before the page")
LIST: Final[tuple[Parameter[Any], ...]] = (*_NAMES, TERM, ENGINE, _SORT, _OFFSET)
_POLLED: Final[tuple[Parameter[str], ...]] = (
    Parameter("cluster", Text(max_bytes=64), "", "the cluster's UUID"),
    *(item for item in _NAMES if item.name in {"project", "workload"}),
)
WITHOUT: Final = (*_POLLED, CURSOR)
ONE: Final = (ID, TERM, ENGINE, CURSOR)


@dataclass(frozen=True)
class RecommendationPages:
    """The handlers and what they stand on."""

    site: Site
    ros: RosApi

    async def all(self, request: web.Request) -> web.Response:
        """Show what containers should ask for, with what that changes."""
        viewer = self.site.viewer(request)
        asked = {item.name: item.read(request.query) for item in LIST if item is not _OFFSET}
        offset, term, engine = _OFFSET.read(request.query), *_chosen(asked)
        found = (
            await panel(
                "ros_api",
                self.ros.recommendations(
                    viewer, _query(asked) | {"limit": str(_PAGE), "offset": str(offset)}
                ),
            )
            if viewer.own
            else None
        )
        count = found.value["meta"]["count"] if found and found.value else 0
        return self.site.page(
            request,
            "recommendations.html",
            viewer,
            title="Recommendations",
            found=found,
            asked=asked,
            is_filtered=any(asked[item.name] for item in _NAMES),
            term=term,
            engine=engine,
            terms=TERM_NAMES,
            engines=ENGINE_NAMES,
            sorts=SORTS,
            advice=lambda item: advice_of(item.get("recommendations"), term, engine),
            count=count,
            offset=offset,
            older=offset + _PAGE if offset + _PAGE < count else 0,
        )

    async def csv(self, request: web.Request) -> web.Response:
        """Answer the recommendations as a spreadsheet: a row for each term and engine."""
        viewer = self._of_one(request)
        asked = {item.name: item.read(request.query) for item in LIST if item is not _OFFSET}
        found = await panel("ros_api", self.ros.spreadsheet(viewer, _query(asked)))
        if found.value is None:
            raise Refusal(503, found.problem)
        return web.Response(
            body=found.value.encode(),
            content_type=OCTETS,
            headers={"Content-Disposition": 'attachment; filename="recommendations.csv"'},
        )

    async def without(self, request: web.Request) -> web.Response:
        """Show the workloads without a recommendation, with the reason and the time that is still missing."""
        viewer = self.site.viewer(request)
        asked = {item.name: item.read(request.query) for item in _POLLED}
        cursor = CURSOR.read(request.query)
        query = asked | {"has_recommendation": "false", "limit": str(_PAGE), "cursor": cursor}
        found = await panel("ros_api", self.ros.workloads(viewer, _given(query))) if viewer.own else None
        return self.site.page(
            request,
            "recommendations_without.html",
            viewer,
            title="Workloads without a recommendation",
            found=found,
            asked=asked,
            is_filtered=any(asked.values()),
            cursor=cursor,
            missing_seconds=_missing_seconds,
        )

    async def one(self, request: web.Request) -> web.Response:
        """Show one recommendation: usage, what is set and recommended, and what was recommended before."""
        viewer = self._of_one(request)
        wanted, cursor = _uuid(ID.read(request.match_info)), CURSOR.read(request.query)
        found = await panel("ros_api", self.ros.recommendation(viewer, wanted))
        if not found.problem and found.value is None:
            raise Refusal(404, "the organisation has no recommendation of this id")
        item = found.value or {}
        stored = item.get("recommendations")
        given = choices_of(stored)
        first = given[0] if given else (TERM_NAMES[0], ENGINE_NAMES[0])
        term, engine = TERM.read(request.query) or first[0], ENGINE.read(request.query) or first[1]
        usage: Panel[Any]
        history: Panel[Any]
        usage, history = (
            await asyncio.gather(
                panel("ros_api", self.ros.usage(viewer, item, _POINTS)),
                panel(
                    "ros_api",
                    self.ros.history(viewer, wanted, _given({"limit": str(_HISTORY), "cursor": cursor})),
                ),
            )
            if item
            else (Panel(), Panel())
        )
        advice = advice_of(stored, term, engine)
        intervals = (usage.value or {}).get("containers", {}).get(item.get("container"), [])
        return self.site.page(
            request,
            "recommendation.html",
            viewer,
            title=item.get("container") or "Recommendation",
            found=found,
            wanted=wanted,
            advice=advice,
            given=given,
            term=term,
            engine=engine,
            terms=TERM_NAMES,
            engines=ENGINE_NAMES,
            manifests=[
                (name, manifest(advice.changes, recommended=name == "recommended"))
                for name in ("current", "recommended")
            ],
            usage=usage,
            charts=[chart for name in RESOURCES if (chart := chart_of(name, intervals, advice.changes))],
            history=history,
            past=lambda row: advice_of(row.get("recommendations"), term, engine),
            cursor=cursor,
        )

    def _of_one(self, request: web.Request) -> Viewer:
        viewer = self.site.viewer(request)
        if not viewer.own:
            raise Refusal(400, "org: expected the organisation of the recommendation")
        return viewer


def _chosen(asked: Mapping[str, str]) -> tuple[str, str]:
    return asked[TERM.name] or TERM_NAMES[0], asked[ENGINE.name] or ENGINE_NAMES[0]


def _query(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what ros_api is asked for: filters, and the order."""
    column, how, _ = SORTS[asked[_SORT.name] or "newest"]
    filters = _given({item.name: asked[item.name] for item in _NAMES})
    return filters | {"order_by": column.format("_".join(_chosen(asked))), "order_how": how}


def _given(query: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in query.items() if text}


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Refusal(404, "the id of a recommendation is a UUID") from None


def _missing_seconds(poll: Any) -> int | None:
    """Return how much usage a workload still needs; None where that is not known."""
    minutes, needed = (poll.get(name) for name in ("minutes", "minutes_needed")) if poll else (None, None)
    if not isinstance(minutes, int) or not isinstance(needed, int) or needed <= minutes:
        return None
    return (needed - minutes) * 60
