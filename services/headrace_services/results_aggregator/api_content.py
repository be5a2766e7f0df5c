"""What rules mean, in the form in which upstream's smart proxy gives it, below the prefixes of its second version."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.rules.catalogue import Catalogue, KeyContent, RuleContent
from headrace.web.caller import IDENTITY_SCHEME
from headrace.web.operations import Answer, Dialect, Operation, summary_of
from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    TEXT,
    Json,
    array,
    closed,
    mapping,
    record,
    reference,
    whole,
)
from headrace_services.results_aggregator.answers import seconds, verbatim
from headrace_services.results_aggregator.callers import of_own_organisation
from headrace_services.results_aggregator.parameters import OF_ORGANISATION, PARAMETERS, VOTE, Asked, Rule
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.refusals import not_found
from headrace_services.results_aggregator.schemas import ok

PREFIXES: Final = ("/api/v2", "/api/insights-results-aggregator/v2")
_TEXTS: Final = ("generic", "summary", "resolution", "more_info", "reason")
_TEXT_SCHEMAS: Final = dict.fromkeys(_TEXTS, TEXT)
_GRADE: Final = {"type": "integer", "minimum": 0, "maximum": 4}
_RISKS: Final = dict.fromkeys(("total_risk", "risk_of_change"), _GRADE)
_META_OF_KEY: Final = whole(
    description=TEXT, impact=_GRADE, likelihood=_GRADE, publish_date=TEXT, status=TEXT, tags=array(TEXT)
)
SCHEMAS: Final[dict[str, Json]] = {
    "RuleContent": whole(
        plugin=whole(name=TEXT, node_id=TEXT, product_code=TEXT, python_module=TEXT),
        error_keys=mapping(whole(metadata=_META_OF_KEY, total_risk=_GRADE, **_TEXT_SCHEMAS, HasReason=BOOLEAN)),
        **_TEXT_SCHEMAS,
        HasReason=BOOLEAN,
    ),
    "KeyContent": whole(
        rule_id=TEXT, description=TEXT, **_TEXT_SCHEMAS, **_RISKS, impact=_GRADE, likelihood=_GRADE,
        publish_date=TEXT, tags=array(TEXT),
    ),
    "DescribedReport": whole(
        meta=whole(
            cluster_name=TEXT, managed=BOOLEAN, count=COUNT, last_checked_at=MOMENT, gathered_at=TEXT
        ),
        data=array(
            whole(
                rule_id=TEXT, created_at=MOMENT, description=TEXT, details=TEXT, reason=TEXT, resolution=TEXT,
                more_info=TEXT, **_RISKS, disabled=BOOLEAN, disable_feedback=TEXT, disabled_at=TEXT, internal=BOOLEAN,
                user_vote=VOTE, extra_data={}, tags=array(TEXT), impacted=MOMENT,
            )
        ),
    ),
}  # fmt: skip
DIALECT: Final = Dialect(
    title="Insights results smart proxy",
    version="v2",
    description="What rules mean, and the newest report of a cluster with it",
    prefixes=PREFIXES,
    refusals={
        400: "A parameter is invalid; `status` says which and why.",
        401: "The identity is missing or malformed.",
        403: "The organisation does not belong to the client.",
        404: "The requested data does not exist.",
        503: "PostgreSQL is away; `Retry-After` says when to retry.",
    },
    error=closed(record(status=TEXT | {"description": "what is wrong"})),
    schemas=SCHEMAS,
    security={"identity": IDENTITY_SCHEME},
    common_refusals=(401,),
    takes_slash=True,
    answers_head=False,
)


@dataclass(frozen=True)
class RulesContent:
    """Handlers; texts are templates, for whoever fills them with ``extra_data``, as upstream's clients do."""

    queries: Queries
    catalogue: Catalogue

    def operations(self, serve: Callable[..., Handler]) -> list[Operation]:
        """The rows; ``serve`` turns a handler of ours into one that checks identity and path first."""
        groups = array(whole(title=TEXT, description=TEXT, tags=array(TEXT)))

        def get(path: str, handler: Any, properties: dict[str, Json], *refusals: int) -> Operation:
            named = tuple(PARAMETERS[part] for part in ("rule_selector", "cluster") if f"{{{part}}}" in path)
            return Operation(
                "GET",
                path,
                serve(of_own_organisation(handler)),
                summary_of(handler),
                Answer(ok(**properties)),
                (400, 403, *refusals),
                (*named, OF_ORGANISATION),
                name=handler.__name__,
            )

        return [
            get("/content", self.content, {"content": array(reference("RuleContent")), "groups": groups}),
            get(
                "/rule/{rule_selector}/content",
                self.rule_content,
                {"content": reference("KeyContent"), "groups": groups},
                404,
            ),
            get(
                "/cluster/{cluster}/reports",
                self.described_report,
                {"report": reference("DescribedReport")},
                404,
                503,
            ),
        ]

    async def content(self, _request: web.Request, _asked: Asked) -> dict[str, Any]:
        """What every rule means."""
        return {"content": [_rule(rule) for rule in self.catalogue.rules.values()], "groups": []}

    async def rule_content(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """What one rule means."""
        content = self.catalogue.key(asked.rule_id, asked.error_key)
        if content is None:
            raise not_found(f"{asked.rule_id}|{asked.error_key}")
        described = {
            "rule_id": asked.rule.rule_id,
            "description": content.description,
            **content.texts,
            "total_risk": content.total_risk,
            "risk_of_change": 0,
            "impact": content.impact,
            "likelihood": content.likelihood,
            "publish_date": content.publish_date,
            "tags": list(content.tags),
        }
        return {"content": described, "groups": []}

    async def described_report(self, _request: web.Request, asked: Asked) -> dict[str, Any]:
        """A cluster's newest report, with what its hits mean."""
        rows = await self.queries.report(asked.org_id, asked.cluster, asked.user_id)
        if not rows:
            raise not_found(asked.org_id, asked.cluster)
        # Upstream leaves out what no content service describes.
        told = [
            (row, content)
            for row in rows
            if row["rule_fqdn"] is not None
            and (content := self.catalogue.key(row["rule_fqdn"], row["error_key"])) is not None
        ]
        meta = {
            "cluster_name": "",
            "managed": False,
            "count": len(told),
            "last_checked_at": seconds(rows[0]["last_checked_at"]),
            "gathered_at": seconds(rows[0]["gathered_at"]),
        }
        return {"report": {"meta": meta, "data": [_hit(row, content) for row, content in told]}}


def _rule(rule: RuleContent) -> dict[str, Any]:
    return {
        "plugin": {
            "name": rule.name,
            "node_id": rule.node_id,
            "product_code": rule.product_code,
            "python_module": rule.module,
        },
        "error_keys": {name: _key(content) for name, content in rule.keys.items()},
        **rule.texts,
        "HasReason": bool(rule.texts["reason"]),
    }


def _key(content: KeyContent) -> dict[str, Any]:
    return {
        "metadata": {
            "description": content.description,
            "impact": content.impact,
            "likelihood": content.likelihood,
            "publish_date": content.publish_date,
            "status": content.status,
            "tags": list(content.tags),
        },
        "total_risk": content.total_risk,
        **content.texts,
        "HasReason": bool(content.texts["reason"]),
    }


def _hit(row: Any, content: KeyContent) -> dict[str, Any]:
    texts, disabled_at = content.texts, row["disabled_at"]
    return {
        "rule_id": Rule(row["rule_fqdn"], row["error_key"]).rule_id,
        "created_at": seconds(row["last_checked_at"]),
        "description": content.description,
        "details": texts["generic"],
        "reason": texts["reason"],
        "resolution": texts["resolution"],
        "more_info": texts["more_info"],
        "total_risk": content.total_risk,
        "risk_of_change": 0,
        "disabled": disabled_at is not None,
        "disable_feedback": row["message"] or "",
        "disabled_at": seconds(disabled_at),
        "internal": False,
        "user_vote": row["user_vote"] or 0,
        "extra_data": verbatim(row["template_data"]),
        "tags": list(content.tags),
        "impacted": seconds(row["created_at"]),
    }
