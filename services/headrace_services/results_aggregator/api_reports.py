"""Reports, recommendations and clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from headrace.contracts.message import rfc3339, utc_now
from headrace.database.pool import Record
from headrace_services.results_aggregator.answers import seconds, verbatim
from headrace_services.results_aggregator.bodies import read_clusters
from headrace_services.results_aggregator.parameters import Asked
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.refusals import bad, not_found

# Of a client that looks for "none", as opposed to a rule that passed.
_NO_HITS: Final = -1
# An answer is in memory as a whole.
_MAX_REPORTS_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Reports:
    """Handlers."""

    queries: Queries
    overview_hours: int

    async def main(self, _request: web.Request, _asked: Asked) -> dict[str, Any]:
        """The API answers."""
        return {}

    async def organizations(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """Organisations that have a report."""
        return {"organizations": await self.queries.organizations(asked.caller)}

    async def clusters(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The clusters that reported lately."""
        since = utc_now() - timedelta(hours=self.overview_hours)
        return {"clusters": await self.queries.clusters(asked.org_id, since)}

    async def report(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """A cluster's hits, with what users decided about them."""
        rows = await self.queries.report(asked.org_id, asked.cluster, asked.user_id)
        if not rows:
            raise not_found(asked.org_id, asked.cluster)
        hits = [_hit(row) for row in rows if row["rule_fqdn"] is not None]
        meta = {
            "cluster_name": "",
            "count": len(hits) or _NO_HITS,
            "last_checked_at": seconds(rows[0]["last_checked_at"]),
            "gathered_at": seconds(rows[0]["gathered_at"]),
        }
        return {"report": {"meta": meta, "reports": hits}}

    async def report_info(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """How many hits a cluster has, and when it reported."""
        row = await self.queries.report_info(asked.org_id, asked.cluster)
        if row is None:
            raise not_found(asked.org_id, asked.cluster)
        return {
            "metainfo": {
                "count": row["hits"] or _NO_HITS,
                "last_checked_at": seconds(row["last_checked_at"]),
                "stored_at": seconds(row["reported_at"]),
            }
        }

    async def rule(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """One hit of a cluster."""
        row = await self.queries.rule(asked.org_id, asked.cluster, asked.user_id, asked.rule)
        if row is None:
            raise not_found(asked.org_id, asked.cluster, asked.rule_id, asked.error_key)
        return {"report": _hit(row)}

    async def reports(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The reports of the clusters in the path, as they were received."""
        return await self._reports(asked.org_id, asked.clusters)

    async def post_reports(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """The reports of the clusters in the body, as they were received."""
        return await self._reports(asked.org_id, await read_clusters(request) or ())

    async def recommendations(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """For each rule, the clusters that it hits."""
        clusters = await read_clusters(request) or ()
        return {"recommendations": await self.queries.recommendations(asked.org_id, clusters)}

    async def cluster_recommendations(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """For each cluster, the rules that hit it."""
        clusters = await read_clusters(request) or ()
        rows = await self.queries.cluster_recommendations(asked.org_id, clusters)
        return {
            "clusters": {
                row["cluster"]: {
                    "created_at": rfc3339(row["last_checked_at"]),
                    "meta": {"cluster_version": row["version_info"] or ""},
                    "recommendations": row["rules"],
                }
                for row in rows
            }
        }

    async def clusters_detail(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """The clusters that a rule hits."""
        clusters = await read_clusters(request, required=False)
        rows = await self.queries.clusters_detail(asked.org_id, asked.rule, clusters)
        if not rows:
            raise not_found(f"{asked.rule_id}|{asked.error_key}")
        return {
            "clusters": [
                {
                    "cluster": row["cluster"],
                    "cluster_name": "",
                    "last_checked_at": rfc3339(row["created_at"]),
                    "impacted": rfc3339(row["impacted_since"]),
                    "meta": {"cluster_version": row["version_info"] or ""},
                }
                for row in rows
            ]
        }

    async def _reports(self, org_id: int, clusters: Sequence[str]) -> dict[str, Any]:
        foreign, size_bytes = await self.queries.foreign_and_bytes(org_id, clusters)
        if foreign:
            raise bad("Improper organization ID")
        if size_bytes > _MAX_REPORTS_BYTES:
            raise bad(f"the reports have {size_bytes} bytes in total; the limit is {_MAX_REPORTS_BYTES}")
        found = await self.queries.reports(org_id, clusters)
        return {
            "clusters": [cluster for cluster in clusters if cluster in found] or None,
            "errors": [cluster for cluster in clusters if cluster not in found] or None,
            "reports": {cluster: verbatim(text) for cluster, text in found.items()},
            "generated_at": "",
        }


def _hit(row: Record) -> dict[str, Any]:
    disabled_at = row["disabled_at"]
    return {
        "component": row["rule_fqdn"],
        "key": row["error_key"],
        "user_vote": row["user_vote"] or 0,
        "disabled": disabled_at is not None,
        "disable_feedback": row["message"] or "",
        "disabled_at": seconds(disabled_at),
        "details": verbatim(row["template_data"]),
        "impacted": seconds(row["created_at"]),
    }
