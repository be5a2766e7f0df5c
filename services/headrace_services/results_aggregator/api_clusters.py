"""Headrace's own reads: every cluster with what its newest report says, whenever it came."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from aiohttp import web

from headrace.contracts.message import rfc3339
from headrace.database.pool import Record
from headrace.rules.catalogue import Catalogue, KeyContent
from headrace.rules.templates import fill
from headrace.web.cursors import Cursor
from headrace.web.parameters import Custom, Integer, Parameter
from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    TEXT,
    UUID,
    Json,
    array,
    mapping,
    nullable,
    reference,
    whole,
)
from headrace_services.results_aggregator.answers import seconds, verbatim
from headrace_services.results_aggregator.parameters import MAX_RULE_CHARACTERS, VOTE, Asked, Rule
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.refusals import not_found

CURSOR: Final = Cursor((datetime, str))
LIMIT: Final = Parameter("limit", Integer(1, 100), 50)
_DIGITS: Final = 32
# By which a cluster's hits are counted; 0 is for rules of which no package says anything.
_RISKS: Final = ("1", "2", "3", "4")
_FILLED: Final = ("reason", "resolution")


def _beginning(text: str) -> str:
    """The digits with which a UUID begins."""
    digits = text.lower().replace("-", "")
    if not digits or len(digits) > _DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"got {text[:64]!r}, must be how a UUID begins")
    return digits


CLUSTER: Final = Parameter(
    "cluster", Custom({"type": "string"}, _beginning), "", "how the cluster's id begins"
)
PARAMETERS: Final[tuple[Parameter[Any], ...]] = (CLUSTER, LIMIT, CURSOR.parameter)

_LISTED: Final[dict[str, Json]] = {
    "cluster": UUID,
    "org_id": {"type": "integer"},
    "cluster_version": TEXT,
    "last_checked_at": MOMENT,
    "reported_at": MOMENT,
    "gathered_at": TEXT | {"description": "RFC 3339; empty if it is not known"},
    "request_id": TEXT | {"description": "of the payload; empty for reports stored before it was kept"},
}
_RISK: Final = {"type": "integer", "minimum": 0, "maximum": 4}
SCHEMAS: Final[dict[str, Json]] = {
    "ListedCluster": whole(
        **_LISTED,
        hits={"type": "integer", "minimum": 0, "description": "without those of disabled rules"},
        hits_by_total_risk=mapping(COUNT),
        highest_total_risk=_RISK,
    ),
    "DescribedCluster": whole(
        **_LISTED,
        hits=array(
            whole(
                **dict.fromkeys(
                    ("rule_id", "error_key", "selector", "description", "summary", "generic"), TEXT
                ),
                **dict.fromkeys(
                    ("reason", "resolution", "more_info", "disable_feedback", "disabled_at"), TEXT
                ),
                **dict.fromkeys(("total_risk", "impact", "likelihood"), _RISK),
                tags=array(TEXT),
                extra_data={"description": "what the rule found, in the form that the rule chose"},
                disabled=BOOLEAN,
                disabled_system_wide=BOOLEAN,
                user_vote=VOTE,
                created_at=MOMENT,
            )
        ),
        passed=nullable(COUNT),
        skipped=array(whole(rule_id=TEXT, reason=TEXT)),
    ),
    "ReportOfRequest": whole(
        cluster=UUID, request_id=TEXT, last_checked_at=MOMENT, hits=COUNT, stored=BOOLEAN
    ),
}
LISTED_CLUSTERS: Final[dict[str, Json]] = {
    "clusters": array(reference("ListedCluster")),
    "next": nullable(TEXT),
}


@dataclass(frozen=True)
class Clusters:
    """Handlers."""

    queries: Queries
    catalogue: Catalogue

    async def listed_clusters(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """Every cluster with its hits by risk, the newest report first."""
        limit, beginning = LIMIT.read(request.query), CLUSTER.read(request.query)
        rows = await self.queries.listed_clusters(
            asked.org_id, beginning, CURSOR.parameter.read(request.query), limit + 1
        )
        page = rows[:limit]
        end = CURSOR.write(page[-1]["reported_at"], page[-1]["cluster"]) if len(rows) > limit else None
        return {"clusters": [self._listed(row) for row in page], "next": end}

    async def described_cluster(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """A cluster's newest report in full, with what its hits mean."""
        row = await self.queries.described_cluster(asked.org_id, asked.cluster)
        if row is None:
            raise not_found(asked.org_id, asked.cluster)
        hits = await self.queries.report(asked.org_id, asked.cluster, asked.user_id)
        system_wide = {
            (Rule(item["rule_id"]).module, item["error_key"])
            for item in await self.queries.disabled_system_wide(asked.org_id)
        }
        told = orjson.loads(row["report"])
        described = [self._hit(hit, system_wide) for hit in hits if hit["rule_fqdn"] is not None]
        described.sort(key=lambda hit: (-hit["total_risk"], hit["selector"]))
        passed = told.get("pass")
        return {
            "cluster": _plain(row)
            | {
                "hits": described,
                "passed": len(passed) if isinstance(passed, list) else None,
                "skipped": _skipped(told.get("skips")),
            }
        }

    async def reports_of_request(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """The newest reports that came of one payload."""
        rows = await self.queries.reports_of_request(asked.org_id, asked.request_id)
        return {
            "reports": [
                {
                    "cluster": row["cluster"],
                    "request_id": row["request_id"],
                    "last_checked_at": seconds(row["last_checked_at"]),
                    "hits": row["hits"],
                    "stored": True,
                }
                for row in rows
            ]
        }

    def _listed(self, row: Record) -> dict[str, Any]:
        risks = [self.catalogue.total_risk(*hit.rsplit("|", 1)) for hit in row["hits"]]
        counted = Counter(map(str, risks))
        return _plain(row) | {
            "hits": len(risks),
            "hits_by_total_risk": dict.fromkeys(_RISKS, 0) | counted,
            "highest_total_risk": max(risks, default=0),
        }

    def _hit(self, row: Record, system_wide: set[tuple[str, str]]) -> dict[str, Any]:
        rule = Rule(row["rule_fqdn"], row["error_key"])
        content = self.catalogue.key(rule.fqdn, rule.key)
        disabled_at = row["disabled_at"]
        return {
            "rule_id": rule.fqdn,
            "error_key": rule.key,
            "selector": rule.rule_id,
            **_meaning(content, row["template_data"]),
            "extra_data": verbatim(row["template_data"]),
            "disabled": disabled_at is not None,
            "disabled_system_wide": (rule.module, rule.key) in system_wide,
            "disable_feedback": row["message"] or "",
            "disabled_at": seconds(disabled_at),
            "user_vote": row["user_vote"] or 0,
            "created_at": seconds(row["created_at"]),
        }


def _meaning(content: KeyContent | None, details: str) -> dict[str, Any]:
    texts = ("summary", "generic", "reason", "resolution", "more_info")
    if content is None:
        nothing: dict[str, Any] = dict.fromkeys(("description", *texts), "")
        return nothing | {"total_risk": 0, "impact": 0, "likelihood": 0, "tags": []}
    found = orjson.loads(details)
    return {
        "description": content.description,
        **{
            part: fill(content.texts[part], found) if part in _FILLED else content.texts[part]
            for part in texts
        },
        "total_risk": content.total_risk,
        "impact": content.impact,
        "likelihood": content.likelihood,
        "tags": list(content.tags),
    }


def _plain(row: Record) -> dict[str, Any]:
    return {
        "cluster": row["cluster"],
        "org_id": row["org_id"],
        "cluster_version": row["version_info"] or "",
        "last_checked_at": seconds(row["last_checked_at"]),
        "reported_at": rfc3339(row["reported_at"]),
        "gathered_at": seconds(row["gathered_at"]),
        "request_id": row["request_id"],
    }


def _skipped(skips: Any) -> list[dict[str, str]]:
    """The rules that could not run, where the report tells of them; Headrace's engine leaves them out."""
    return [
        {
            "rule_id": str(skip.get("rule_fqdn") or "")[:MAX_RULE_CHARACTERS],
            "reason": str(skip.get("details") or skip.get("reason") or "")[:2000],
        }
        for skip in (skips if isinstance(skips, list) else ())
        if isinstance(skip, dict)
    ]
