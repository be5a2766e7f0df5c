"""Recommendations for workloads, by namespace."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from headrace.database.pool import Record
from headrace.rules.catalogue import Catalogue
from headrace_services.results_aggregator.answers import seconds, verbatim
from headrace_services.results_aggregator.bodies import read_clusters
from headrace_services.results_aggregator.parameters import Asked
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.refusals import not_found

_SUFFIX: Final = ".recommendation"


@dataclass(frozen=True)
class Workloads:
    """Handlers."""

    queries: Queries
    catalogue: Catalogue

    async def workloads(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The namespaces whose workloads have recommendations."""
        return await self._workloads(asked.org_id, None)

    async def post_workloads(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """The namespaces of the clusters in the body whose workloads have recommendations."""
        return await self._workloads(asked.org_id, await read_clusters(request))

    async def namespace_workloads(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The recommendations for one namespace's workloads."""
        row = await self.queries.namespace(asked.org_id, asked.cluster, asked.namespace)
        if row is None:
            raise not_found(f"{asked.org_id}:{asked.cluster}:{asked.namespace}")
        recommendations = [
            shown
            for entry in orjson.loads(row["report"]).get("workload_recommendations") or []
            if (shown := _recommendation(entry, asked.namespace))["objects"]
        ]
        risks = [self._risk(entry["check"]) for entry in recommendations]
        return {"workloads": {"status": "", **_described(row, risks), "recommendations": recommendations}}

    async def _workloads(self, org_id: int, clusters: tuple[str, ...] | None) -> dict[str, Any]:
        rows = await self.queries.workloads(org_id, clusters)
        return {
            "workloads": [
                {
                    **_described(row, [self._risk(rule) for rule in orjson.loads(row["rule_hits_count"])]),
                    "recommendations_hit_count": verbatim(row["rule_hits_count"]),
                }
                for row in rows
            ]
        }

    def _risk(self, selector: str) -> int:
        rule, _, key = selector.rpartition("|")
        return self.catalogue.total_risk(rule.removesuffix(_SUFFIX), key)


def _described(row: Record, risks: Sequence[int]) -> dict[str, Any]:
    known = Counter(str(risk) for risk in risks if risk)
    return {
        "cluster": {"uuid": row["cluster_id"], "display_name": ""},
        "namespace": {"uuid": row["namespace_id"], "name": row["namespace_name"]},
        "metadata": {
            "recommendations": row["recommendations"],
            "objects": row["objects"],
            "reported_at": seconds(row["reported_at"]),
            "last_checked_at": seconds(row["last_checked_at"]),
            # 0 and null where no installed package has the rules' content.
            "highest_severity": max(risks, default=0),
            "hits_by_severity": dict(sorted(known.items())) or None,
        },
    }


def _recommendation(entry: dict[str, Any], namespace: str) -> dict[str, Any]:
    details = entry.get("details")
    return {
        "check": f"{str(entry.get('component')).removesuffix(_SUFFIX)}|{entry.get('key')}",
        "details": "",
        "resolution": "",
        "modified": "",
        "more_info": "",
        "extra_data": details if isinstance(details, dict) else None,
        "objects": [
            {"kind": str(workload.get("kind") or ""), "uid": str(workload.get("uid") or "")}
            for workload in entry.get("workloads") or []
            if workload.get("namespace_uid") == namespace
        ],
    }
